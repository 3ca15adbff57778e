"""HyperbandOracle: values that tell how long to train, what is kept of them, resumes, queues, changed options."""

from __future__ import annotations

import json
import math
import warnings
from pathlib import Path
from typing import Any

import pytest
from tests.tuners.oracle_driver import drive, fail, finish, mixed, points_18

from krigetuner.errors import KrigeTunerWarning
from krigetuner.oracles import BayesianOptimizationOracle, HyperbandOracle
from krigetuner.space.recorder import HyperParameters
from krigetuner.trial.objective import Objective
from krigetuner.tuners.base_tuner import BaseTuner

GOAL = Objective("loss", "min")
CONTROL = {"tuner/epochs", "tuner/initial_epoch", "tuner/bracket", "tuner/round"}


def make(path: Path | None = None, **options: Any) -> HyperbandOracle:
    oracle = HyperbandOracle(GOAL, **{"max_epochs": 4, "factor": 2, "hyperparameters": mixed(), "seed": 1, **options})
    if path is not None:
        oracle._set_project_dir(path, "project")
    return oracle


def places(oracle: HyperbandOracle) -> list[tuple[int, int]]:
    """Bracket and round of every trial."""
    values = [t.hyperparameters.values for t in oracle.trials.values()]
    return [(v["tuner/bracket"], v["tuner/round"]) for v in values]


SCHEDULE = [(2, 0)] * 4 + [(2, 1)] * 2 + [(2, 2)] + [(1, 0)] * 3 + [(1, 1)] * 2 + [(0, 0)] * 3


def test_values_tell_how_long_to_train() -> None:
    oracle = make()
    seen = drive(oracle)
    assert places(oracle) == SCHEDULE
    assert [(v["tuner/initial_epoch"], v["tuner/epochs"]) for v in seen[:7]] == [(0, 1)] * 4 + [(1, 2)] * 2 + [(2, 4)]
    for values in seen:
        parent = values.get("tuner/trial_id")
        assert (parent is not None) == (values["tuner/round"] > 0)
        if parent is not None:
            before = oracle.get_trial(parent).hyperparameters.values
            assert before["tuner/epochs"] == values["tuner/initial_epoch"]
            assert {k: v for k, v in before.items() if k in ("rate", "units", "kind", "flag")} == {
                k: v for k, v in values.items() if k in ("rate", "units", "kind", "flag")
            }
    assert oracle.stop_reason is not None
    assert "hyperband_iterations" in oracle.stop_reason


def test_random_values_of_a_subclass_begin_the_brackets() -> None:
    class Own(HyperbandOracle):
        def _random_values(self) -> dict[str, Any] | None:
            values = super()._random_values()
            return None if values is None else {**values, "rate": (1 + len(self.trials)) / 100}

    oracle = Own(GOAL, max_epochs=4, factor=2, hyperparameters=mixed(), seed=1)
    seen = drive(oracle)
    assert places(oracle) == SCHEDULE
    first = {f"{i:04}": values for i, values in enumerate(seen) if not values["tuner/round"]}
    assert [values["rate"] for values in first.values()] == [(1 + int(name)) / 100 for name in first]
    assert all(values["rate"] in {v["rate"] for v in first.values()} for values in seen)


def test_control_values_are_kept_and_are_no_part_of_the_space(tmp_path: Path) -> None:
    oracle = make(tmp_path)
    drive(oracle, result=lambda values: -values["tuner/epochs"] + values["tuner/bracket"])
    assert not CONTROL & {p.name for p in oracle.get_space().space}
    oracle.close()
    again = make(tmp_path)
    table = again.results()
    assert CONTROL | {"tuner/trial_id"} <= set(table.columns)
    assert list(table["tuner/epochs"][:7]) == [1] * 4 + [2] * 2 + [4]
    hp = again.get_best_trials()[0].hyperparameters
    assert (hp["tuner/epochs"], hp.get("tuner/round"), "tuner/bracket" in hp) == (4, 0, True)
    again.close()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", KrigeTunerWarning)
        other = BayesianOptimizationOracle(GOAL, max_trials=20, hyperparameters=mixed(), seed=1)
        other._set_project_dir(tmp_path, "project")
        trial = other.create_trial("t")
    assert not CONTROL & set(trial.hyperparameters.values)
    other.close()


@pytest.mark.parametrize("kills", [{1}, {4, 5, 6}, {0, 8, 10, 12}])
def test_resumes_change_nothing(tmp_path: Path, kills: set[int]) -> None:
    def result(number: int) -> float | None:
        return None if number in (2, 9) else math.sin(number)

    def run(oracle: HyperbandOracle, stop: int | None) -> HyperbandOracle | None:
        while (trial := oracle.create_trial("t")).status == "RUNNING":
            number = len(oracle.trials) - 1
            if number == stop:
                return None
            score = result(number)
            if score is None:
                fail(oracle, trial, "FAILED")
            else:
                finish(oracle, trial, score)
        return oracle

    undisturbed = run(make(max_consecutive_failed_trials=None), None)
    for stop in sorted(kills):
        oracle = make(tmp_path, max_consecutive_failed_trials=None)
        run(oracle, stop)
        oracle.close()  # the running trial is not told of its end, as after a kill
    resumed = run(make(tmp_path, max_consecutive_failed_trials=None), None)
    assert undisturbed is not None
    assert resumed is not None
    assert [t.hyperparameters.values for t in resumed.trials.values()] == [
        t.hyperparameters.values for t in undisturbed.trials.values()
    ]
    assert places(resumed) == SCHEDULE
    assert resumed.get_state()["brackets"] == undisturbed.get_state()["brackets"]
    resumed.close()


def test_a_retry_keeps_its_place() -> None:
    oracle = make(max_retries_per_trial=1)
    first = oracle.create_trial("t")
    fail(oracle, first)
    again = oracle.create_trial("t")
    assert (again.trial_id, again.attempt) == (first.trial_id, 1)
    finish(oracle, again, 1.0)
    drive(oracle)
    assert places(oracle) == SCHEDULE


def test_an_enqueued_configuration_takes_a_place_and_may_be_promoted() -> None:
    oracle = make()
    oracle.enqueue({"rate": 0.5, "units": 32, "kind": "a"})
    drive(oracle, result=lambda values: 0.0 if values["rate"] == 0.5 else 1.0)
    assert places(oracle) == SCHEDULE
    with_half = [t.trial_id for t in oracle.trials.values() if t.hyperparameters.values["rate"] == 0.5]
    assert with_half == ["0000", "0004", "0006"]
    oracle.enqueue({"rate": 0.25})
    late = oracle.create_trial("t")
    values = late.hyperparameters.values
    assert (values["tuner/epochs"], values["tuner/initial_epoch"], "tuner/round" in values) == (4, 0, False)
    finish(oracle, late, 1.0)
    assert oracle.create_trial("t").status == "STOPPED"


def test_max_trials_ends_it_earlier_and_may_be_set_later() -> None:
    oracle = make(max_trials=5)
    assert len(drive(oracle)) == 5
    assert oracle._planned_trials() == 5
    oracle.max_trials = 7  # as AutoKeras does
    assert len(drive(oracle)) == 2
    oracle.max_trials = None
    assert oracle._planned_trials() == 15
    drive(oracle)
    assert places(oracle) == SCHEDULE
    assert oracle.remaining_trials() is None
    assert make(hyperband_iterations=None)._planned_trials() is None


def test_more_iterations_go_on_without_a_warning(tmp_path: Path) -> None:
    oracle = make(tmp_path)
    drive(oracle)
    oracle.close()
    more = make(tmp_path, hyperband_iterations=2)
    assert len(drive(more)) == 15
    assert places(more) == SCHEDULE * 2
    assert more._current_iteration == 1
    more.close()


def test_options_come_from_the_code_on_a_resume(tmp_path: Path) -> None:
    oracle = make(tmp_path, max_epochs=3, factor=3)
    drive(oracle)
    oracle.close()
    with pytest.warns(KrigeTunerWarning, match="max_epochs: 3 -> 9"):
        other = make(tmp_path, max_epochs=9, factor=3, hyperband_iterations=3)
    assert (other.max_epochs, other.hyperband_iterations) == (9, 3)
    new = drive(other)
    # the rungs of 3 epochs fit into those of 9: they are not run again
    assert len(other.trials) == 3 * other.schedule.trials
    assert max(v["tuner/epochs"] for v in new) == 9
    other.close()


def test_a_small_space_trains_to_the_end() -> None:
    hp = HyperParameters()
    hp.Boolean("flag")
    oracle = make(hyperparameters=hp)
    seen = drive(oracle)
    assert [v["tuner/epochs"] for v in seen] == [1, 1, 2, 2, 4]
    assert "2 configurations" in str(oracle.stop_reason)
    oracle = HyperbandOracle(GOAL, hyperparameters=points_18(), seed=0)  # 98 places, 18 configurations
    assert [v["tuner/epochs"] for v in drive(oracle)] == [2] * 18 + [4] * 18 + [12] * 11 + [34] * 4 + [100] * 2


class Toy(BaseTuner):
    """A space that only `run_trial` knows."""

    def run_trial(self, trial: Any, *args: Any, **kwargs: Any) -> float:
        hp = trial.hyperparameters
        self.epochs = [*getattr(self, "epochs", []), hp["tuner/epochs"]]
        return float(hp.Float("x", 0.0, 1.0)) / hp.get("tuner/epochs")


def test_a_space_that_is_known_only_in_run_trial(tmp_path: Path) -> None:
    tuner = Toy(HyperbandOracle(max_epochs=4, factor=2, seed=0), directory=tmp_path)
    tuner.search(verbose=0)
    assert places(tuner.oracle) == SCHEDULE  # type: ignore[arg-type]
    assert tuner.epochs == [1] * 4 + [2] * 2 + [4] + [2] * 3 + [4] * 2 + [4] * 3
    tuner.oracle.close()


def test_a_subclass_with_a_state_of_its_own(tmp_path: Path) -> None:
    class Own(HyperbandOracle):
        extra = 0

        def get_state(self) -> dict[str, Any]:
            return {**super().get_state(), "extra": self.extra}

        def set_state(self, state: Any) -> None:
            super().set_state(state)
            self.extra = state.get("extra", self.extra)

    oracle = Own(GOAL, max_epochs=4, factor=2, hyperparameters=mixed(), seed=1)
    oracle._set_project_dir(tmp_path, "project")
    oracle.extra = 5
    drive(oracle, 5)
    assert set(oracle._ledger.state.saved["oracle"]) == {"seed_state", "extra"}
    oracle.close()
    again = Own(GOAL, max_epochs=8, factor=2, hyperparameters=mixed(), seed=1)
    with pytest.warns(KrigeTunerWarning, match="max_epochs: 4 -> 8"):
        again._set_project_dir(tmp_path, "project")
    assert (again.extra, again.max_epochs) == (5, 8)
    again.close()


def test_the_state_is_plain_data() -> None:
    oracle = make()
    drive(oracle, 6)
    state = json.loads(json.dumps(oracle.get_state()))
    assert state["brackets"][0]["bracket_num"] == 2
    assert [len(r) for r in state["brackets"][0]["rounds"]] == [4, 2, 0]


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"factor": 1}, ValueError, "factor needs to be a number of at least 2, got 1"),
        ({"factor": math.inf}, ValueError, "factor needs"),
        ({"factor": "3"}, TypeError, "factor needs"),
        ({"max_epochs": 0}, ValueError, "max_epochs: expected a whole number of at least 1, got 0"),
        ({"max_epochs": None}, TypeError, "max_epochs"),
        ({"max_epochs": 2.5}, TypeError, "max_epochs"),
        ({"hyperband_iterations": -1}, ValueError, "hyperband_iterations"),
        ({"hyperband_iterations": 1.5}, TypeError, "hyperband_iterations"),
        ({"max_trials": 0}, ValueError, "max_trials"),
        ({"max_epoch": 5}, TypeError, "max_epoch: expected an argument that HyperbandOracle has"),
    ],
)
def test_bad_options(options: dict[str, Any], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        HyperbandOracle(GOAL, **options)
