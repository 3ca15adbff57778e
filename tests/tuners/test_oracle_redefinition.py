"""A project whose search space or objective the code has changed: what counts, what is refused."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest
from tests.tuners.oracle_driver import MIN, drive, finish, opened, points_18

from krigetuner.errors import KrigeTunerWarning, StudyMismatch
from krigetuner.oracles import RandomSearchOracle
from krigetuner.space.recorder import HyperParameters
from krigetuner.trial.objective import Objective
from krigetuner.tuners.oracle import Oracle


def test_a_changed_definition_rules_and_outdated_trials_are_kept_but_not_modelled(tmp_path: Path) -> None:
    drive(opened(tmp_path), 6)

    def changed() -> HyperParameters:
        hp = HyperParameters()
        hp.Float("rate", 1e-4, 1.0, sampling="log")
        hp.Int("units", 32, 128, step=32)
        hp.Choice("kind", ["a", "b"])
        hp.Boolean("flag", parent_name="kind", parent_values=["b"])
        return hp

    with pytest.warns(KrigeTunerWarning, match="units"):
        oracle = opened(tmp_path, hyperparameters=changed())
    assert len(oracle.trials) == 6
    inside = [t for t in oracle.trials.values() if t.hyperparameters.values["units"] in (32, 64)]
    assert len(oracle._ledger.history(oracle._definitions.space())) == len(inside) < 6
    assert oracle.remaining_trials() == 12 - len(inside)
    assert {v["units"] for v in drive(oracle)} <= {32, 64, 96, 128}
    table = oracle.results()
    assert table["in_space"].tolist() == [units in (32, 64, 96, 128) for units in table["units"]]
    assert table["in_space"].sum() == 12


def interval(low: float, high: float) -> HyperParameters:
    hp = HyperParameters()
    hp.Float("x", low, high)
    return hp


def test_trials_outside_a_narrowed_space_are_neither_counted_nor_the_best(tmp_path: Path) -> None:
    def again(low: float, high: float, **options: Any) -> Any:
        return opened(tmp_path, max_trials=6, hyperparameters=interval(low, high), **options)

    def x_of(trial: Any) -> float:
        return float(trial.hyperparameters.values["x"])

    first = again(0, 1)
    for x in (0.1, 0.2, 0.6, 0.9):
        first.enqueue({"x": x})
    drive(first, 4, lambda values: values["x"])
    first.add_observation({"x": 0.05}, 0.05)
    assert (first.remaining_trials(), x_of(first.get_best_trials()[0])) == (2, 0.05)
    outside = (
        r"Trials outside the present space \(3 of 5\) are kept and shown; they are not learned from, are not among"
    )
    with pytest.warns(KrigeTunerWarning, match=outside):
        narrow = again(0.5, 1)
    assert narrow.remaining_trials() == 4
    assert [x_of(t) for t in narrow.get_best_trials(9)] == [0.6, 0.9]
    assert x_of(narrow.get_best_trials()[0]) == 0.6
    assert len(drive(narrow, None, lambda values: values["x"] - 0.3)) == 4
    assert x_of(narrow.get_best_trials()[0]) == min(v for v in map(x_of, narrow.trials.values()) if v >= 0.5)
    assert narrow.results()["in_space"].tolist() == [False, False, True, True, False] + [True] * 4
    narrow.close()
    same = again(0.5, 1)  # and without a warning
    assert (same.remaining_trials(), len(same.get_best_trials(99))) == (0, 6)
    same.close()
    with pytest.warns(KrigeTunerWarning, match="x.*min_value: 0.5 -> 0") as caught:
        wide = again(0, 1)
    assert "outside" not in str(caught[0].message)
    assert len(wide.get_best_trials(99)) == 9


@pytest.mark.filterwarnings("ignore::krigetuner.errors.KrigeTunerWarning")
def test_an_interrupted_trial_waits_while_the_code_does_not_allow_its_values(tmp_path: Path) -> None:
    first = opened(tmp_path, max_trials=3, hyperparameters=interval(0, 1))
    for x in (0.1, 0.6):
        first.enqueue({"x": x})
    for trial in (first.create_trial("a"), first.create_trial("b")):
        first.interrupt_trial(trial.trial_id, "stopped")
    first.close()
    narrow = opened(tmp_path, max_trials=3, hyperparameters=interval(0.5, 1))
    ran = drive(narrow)
    assert ran[0] == {"x": 0.6}
    assert all(values["x"] >= 0.5 for values in ran)
    assert (len(ran), narrow.trials["0"].status) == (3, "INTERRUPTED")
    narrow.close()
    wide = opened(tmp_path, max_trials=3, hyperparameters=interval(0, 1))
    assert drive(wide) == [{"x": 0.1}]


def test_values_that_the_present_definitions_brought_up_always_count(tmp_path: Path) -> None:
    class Careless(Oracle):
        def populate_space(self, trial_id: str) -> dict[str, Any]:
            return {"status": "RUNNING", "values": {"x": 7.0 + len(self.trials)}}

    oracle = opened(tmp_path, Careless, max_trials=3, hyperparameters=interval(0, 1))
    assert len(drive(oracle)) == 3
    oracle.close()
    again = opened(tmp_path, Careless, max_trials=3, hyperparameters=interval(0, 1))
    assert again.remaining_trials() == 0
    assert len(again.get_best_trials(9)) == 3


def test_the_best_is_found_in_the_space_of_the_moment() -> None:
    oracle = RandomSearchOracle(MIN, 9, seed=0)
    scores = []
    for value in (5.0, 3.0, 4.0, 1.0, 2.0):
        trial = oracle.create_trial("t")
        trial.hyperparameters.Float(f"x{len(scores) // 2}", 0, 1)
        finish(oracle, trial, value)
        scores.append(value)
        assert [t.score for t in oracle.get_best_trials()] == [min(scores)]
        assert [t.score for t in oracle.get_best_trials(9)] == sorted(scores)


def test_what_trials_bring_up_now_instead_of_the_code_before_them_is_not_removed(tmp_path: Path) -> None:
    drive(opened(tmp_path, max_trials=3, hyperparameters=interval(0, 1)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        oracle = opened(tmp_path, max_trials=6, hyperparameters=None)
        while (trial := oracle.create_trial("t")).status == "RUNNING":
            finish(oracle, trial, trial.hyperparameters.Float("x", 0.0, 1.0))
    assert len({trial.hyperparameters.values["x"] for trial in oracle.trials.values()}) == 6, oracle.stop_reason


def test_a_removed_hyperparameter_leaves_the_search(tmp_path: Path) -> None:
    drive(opened(tmp_path), 3)
    hp = HyperParameters()
    hp.Int("units", 8, 64, step=8)
    oracle = RandomSearchOracle(MIN, 12, seed=4, hyperparameters=hp)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        oracle._set_project_dir(tmp_path, "project")
        seen = drive(oracle, 2)
    assert [set(v) for v in seen] == [{"units"}] * 2
    texts = " ".join(str(w.message) for w in caught)
    assert all(f"{name} is no longer defined" in texts for name in ("rate", "kind", "flag"))
    assert len(oracle._ledger.history(oracle._definitions.space())) == 5


def test_a_definition_that_is_found_late_replaces_the_stored_one(tmp_path: Path) -> None:
    def run(choices: list[int], trials: int) -> list[int]:
        oracle = opened(tmp_path, max_trials=None)
        sizes = []
        for _ in range(trials):
            trial = oracle.create_trial("t")
            sizes.append(trial.hyperparameters.Choice("batch_size", choices))
            finish(oracle, trial, 1.0)
        return sizes

    assert set(run([16, 32], 8)) == {16, 32}
    with pytest.warns(KrigeTunerWarning) as caught:
        sizes = run([128, 256], 8)
    assert set(sizes) == {128, 256}, "a stored value that the code no longer allows is not used"
    assert any("batch_size was Choice" in str(w.message) for w in caught)


def test_an_unrelated_space_is_refused_and_nothing_is_lost(tmp_path: Path) -> None:
    drive(opened(tmp_path), 3)
    with pytest.raises(StudyMismatch, match=r"(?s)'units'.*project_name.*overwrite=True"):
        opened(tmp_path, hyperparameters=points_18())
    assert len(opened(tmp_path).trials) == 3


def test_another_objective_is_refused(tmp_path: Path) -> None:
    drive(opened(tmp_path), 1)
    for objective in (None, "val_accuracy", Objective("loss", "max"), [MIN, "val_loss"]):
        with pytest.raises(StudyMismatch, match=r"(?s)give that objective to .* look at it.*overwrite=True"):
            opened(tmp_path, objective=objective)
