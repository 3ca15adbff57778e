"""Projects of KerasTuner as files: every version's layout, order and retries, and damage of every kind."""

from __future__ import annotations

import json
import math
import os
import random
from pathlib import Path
from typing import Any

import pytest

from krigetuner.errors import KrigeTunerWarning, StoreError
from krigetuner.run.keras_tuner_project import objective_of, take_over
from krigetuner.run.ledger import Ledger
from krigetuner.store.artifacts import MARK
from krigetuner.store.keras_tuner_files import foreign_files, is_project, read_project
from krigetuner.store.keras_tuner_space import legal_values, parameters_of
from krigetuner.store.memory import MemoryStore
from krigetuner.store.replay import StudyState

RATE = {"class_name": "Float", "config": {"name": "rate", "min_value": 0.001, "max_value": 1.0, "sampling": "log"}}
UNITS = {
    "class_name": "Int",
    "config": {"name": "units", "default": None, "conditions": [], "min_value": 8, "max_value": 64, "step": 8}
    | {"sampling": "linear"},
}
SPACE = [RATE, UNITS]


def trial(trial_id: str, score: float | None = 1.0, status: str = "COMPLETED", **other: Any) -> dict[str, Any]:
    """A trial.json of 1.4."""
    observations = [] if score is None else [{"value": [score], "step": 3}]
    return {
        "trial_id": trial_id,
        "hyperparameters": {"space": SPACE, "values": {"rate": 0.01, "units": 16}},
        "metrics": {"metrics": {"val_loss": {"direction": "min", "observations": observations}}},
        "score": score,
        "best_step": 3,
        "status": status,
        "message": None,
        **other,
    }


def oracle(**other: Any) -> dict[str, Any]:
    """An oracle.json of 1.4."""
    parts = ("start_order", "end_order", "retry_queue", "tried_so_far")
    return {
        "hyperparameters": {"space": SPACE, "values": {}},
        "ongoing_trials": {},
        "run_times": {},
        "seed": 7,
        "seed_state": 9,
        "id_to_hash": {},
        "display": {"search_start": None, "trial_start": {}, "trial_number": {}},
        **{name: [] for name in parts},
        **other,
    }


def write(root: Path, trials: list[dict[str, Any]], state: dict[str, Any] | None = None) -> Path:
    """Writes a project; each trial a second after the one before."""
    for second, each in enumerate(trials):
        file = root / f"trial_{each['trial_id']}" / "trial.json"
        file.parent.mkdir(parents=True)
        file.write_text(json.dumps(each))
        os.utime(file, (1e9 + second, 1e9 + second))
    (root / "oracle.json").write_text(json.dumps(oracle() if state is None else state))
    (root / "tuner0.json").write_text("{}")
    return root


def imported(root: Path) -> StudyState:
    """The study that a project becomes."""
    ledger = Ledger(MemoryStore())
    take_over(ledger, root, "p")
    return ledger.state


def test_a_project_becomes_a_study(tmp_path: Path) -> None:
    root = write(tmp_path, [trial("0", 2.0), trial("1", 1.0)], oracle(start_order=["1", "0"], end_order=["0", "1"]))
    state = imported(root)
    assert [r.trial_id for r in state.trials.values()] == ["1", "0"]
    assert [state.trials[n].trial_id for n in state.ended] == ["0", "1"]
    assert (state.seed, state.objective["name"], state.objective["direction"]) == (7, "val_loss", "min")
    record = state.trials[0]
    assert (record.score, record.best_step, record.metrics, record.counted) == (1.0, 3, {"val_loss": 1.0}, True)
    assert record.executions == (({"val_loss": 1.0}, 3),)
    assert record.values == {"rate": 0.01, "units": 16}
    assert not state.waiting
    assert not state.running


def test_retries_and_trials_cut_short_wait_in_their_order(tmp_path: Path) -> None:
    trials = [trial("0", None, "INVALID", message="bad"), trial("1", None, "RUNNING"), trial("2", None, "RUNNING")]
    state = oracle(retry_queue=["0"], ongoing_trials={"w1": "1", "w0": "2"}, run_times={"0": 2}, start_order=["0", "1"])
    study = imported(write(tmp_path, [*trials, trial("3")], state))
    assert [study.trials[n].trial_id for n in study.waiting] == ["0", "1", "2"]
    assert (study.trials[0].failures, study.trials[0].attempt, study.trials[0].message) == (2, 1, "bad")
    assert [r.status for r in study.trials.values()] == ["INVALID", "INTERRUPTED", "INTERRUPTED", "COMPLETED"]


def test_a_trial_file_is_believed_before_the_oracle(tmp_path: Path) -> None:
    """It is written first: a kill in between leaves the oracle behind."""
    state = oracle(ongoing_trials={"tuner0": "0"}, start_order=["0"])
    study = imported(write(tmp_path, [trial("0", 0.5)], state))
    assert study.trials[0].status == "COMPLETED"
    assert study.ended == [0]


def test_the_layout_of_1_0(tmp_path: Path) -> None:
    """Random ids, no orders, no seed, every epoch of every execution, steps of 1 on logarithmic scales."""
    space = [
        {"class_name": "Int", "config": {"name": "n", "default": None, "min_value": 1, "max_value": 100, "step": 1}},
        {"class_name": "Choice", "config": {"name": "c", "default": "x", "values": ["x", "y"], "ordered": False}},
        {"class_name": "Fixed", "config": {"name": "f", "value": 3}},
    ]
    space[0]["config"] |= {"sampling": "log"}
    observations = [{"value": [4.0, 2.0], "step": 0}, {"value": [1.0, 2.0], "step": 1}]
    metrics = {"metrics": {"val_loss": {"direction": "min", "observations": observations}}}
    trials = []
    for trial_id, status in (("f" * 32, "COMPLETED"), ("0" * 32, "INVALID"), ("a" * 32, "RUNNING")):
        made = trial(trial_id, 1.5, status, metrics=metrics, best_step=1)
        made["hyperparameters"] = {"space": space, "values": {"n": 5, "c": "y", "f": 3}}
        del made["message"]
        trials.append(made)
    for made in trials[1:]:
        made["score"] = None
    state = {"ongoing_trials": {"tuner0": "a" * 32}, "hyperparameters": {"space": space, "values": {}}}
    study = imported(write(tmp_path, trials, state))
    assert [r.trial_id[0] for r in study.trials.values()] == ["f", "0", "a"]
    assert [r.status for r in study.trials.values()] == ["COMPLETED", "FAILED", "INTERRUPTED"]
    first = study.trials[0]
    assert first.executions == (({"val_loss": 1.0}, 1), ({"val_loss": 2.0}, 1))
    assert (first.metrics, first.variance) == ({"val_loss": 1.5}, 0.25)
    configs = [c["config"] for c in study.parameters.values()]
    assert configs[0]["step"] is None
    assert study.objective["name"] == "val_loss"


def test_every_epoch_that_is_kept_can_be_read_back(tmp_path: Path) -> None:
    observations = [{"value": [4.0, 3.0], "step": 0}, {"value": [1.0, 2.0], "step": 1}]
    metrics = {"metrics": {"val_loss": {"direction": "min", "observations": observations}}}
    store = MemoryStore()
    take_over(Ledger(store), write(tmp_path, [trial("0", 1.5, metrics=metrics, best_step=1)]), "p")
    found = [(r.execution, r.step, r.metrics["val_loss"]) for r in store.measurements()]
    assert found == [(0, 0, 4.0), (0, 1, 1.0), (1, 0, 3.0), (1, 1, 2.0)]


def test_metrics_that_have_no_finite_mean_are_no_damage(tmp_path: Path) -> None:
    given = {"val_loss": [1.0, 2.0], "diverged": [math.inf, -math.inf], "huge": [1e308, 1e308]}
    metrics = {n: {"direction": "min", "observations": [{"value": v, "step": 0}]} for n, v in given.items()}
    state = imported(write(tmp_path, [trial("0", 1.5, metrics={"metrics": metrics}, best_step=0)]))
    assert state.objective["candidates"] == ["val_loss"]
    found = state.trials[0].metrics
    assert (found["val_loss"], found["huge"]) == (1.5, 1e308)
    assert math.isnan(found["diverged"])


def test_states_of_users_own_oracles_and_tuners_are_kept(tmp_path: Path) -> None:
    root = write(tmp_path, [trial("0")], oracle(mine={"a": 1}))
    (root / "tuner0.json").write_text('{"epoch": 5}')
    (root / "notes.json").write_text("not JSON, and not KerasTuner's")
    saved = imported(root).saved
    assert saved["tuner/tuner0"] == {"epoch": 5}
    assert saved["oracle"] == {"mine": {"a": 1}, "seed_state": 9}


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ({"loss": 3.0, "val_loss": 1.0, "val_mse": 1.0}, ["val_loss", "val_mse"]),
        ({"loss": 1.0, "default_objective": 1.0}, ["default_objective", "loss"]),
        ({"val_loss": float("nan")}, []),
        ({"other": 2.0}, []),
    ],
)
def test_the_objective_is_told_from_the_scores(tmp_path: Path, scores: dict[str, float], expected: list[str]) -> None:
    tracked = {n: {"direction": "min", "observations": [{"value": [v], "step": 0}]} for n, v in scores.items()}
    root = write(tmp_path, [trial("0", 1.0, metrics={"metrics": tracked})])
    assert objective_of(read_project(root))["candidates"] == expected


def test_parameters_that_ours_cannot_be_are_repaired_or_named() -> None:
    entries = [
        {"class_name": "Choice", "config": {"name": "twice", "values": [1, 1, 2], "default": 1}},
        {"class_name": "Float", "config": {"name": "far", "min_value": 0, "max_value": 1, "default": 7.0, "new": 1}},
        {"class_name": "Int", "config": {"name": "still", "min_value": 0, "max_value": 4, "step": 0}},
        {"class_name": "Fixed", "config": {"name": "odd", "value": [1, 2]}},
        {"class_name": "Tensor", "config": {"name": "what"}},
        {"class_name": "Float", "config": {"min_value": 0, "max_value": 1}},
        {"class_name": "Float", "config": {"name": "up", "min_value": 2, "max_value": 1}},
        "nothing",
        7,
    ]
    configs, refused = parameters_of(entries)
    assert [c["config"]["name"] for c in configs] == ["twice", "far", "still"]
    assert configs[0]["config"]["values"] == [1, 2]
    assert configs[1]["config"]["default"] is None
    assert len(refused) == 6
    assert all("it is left out of the space" in reason for reason in refused)
    assert refused[0].startswith("hyperparameter 'odd': `Fixed` value must be")


def test_values_become_ours() -> None:
    from krigetuner.space.parameters import Choice, Float, Int
    from krigetuner.space.space import Space

    children = [Float("x", 0, 1, step=0.1, conditions=_when("b")), Int("n", 1, 9, conditions=_when("a"))]
    space = Space([Choice("kind", ["a", "b"]), *children, Float("rate", 0, 1)])
    found = legal_values(space, {"kind": "b", "x": 3 * 0.1, "n": 4, "rate": 3 * 0.1 + 0.05, "unknown": 1})
    assert found == {"kind": "b", "x": 0.3, "rate": 0.35, "unknown": 1}
    assert legal_values(space, {"kind": "c", "x": 0.3}) == {"kind": "c"}
    assert legal_values(space, {"rate": 4.0}) == {"rate": 4.0}


def _when(value: str) -> Any:
    from krigetuner.space.conditions import Parent

    return [Parent("kind", [value])]


# --- damage


def damaged(data: bytes, how: int) -> bytes:
    """A file as a kill or a full disk leaves it, or as a bad disk does."""
    draw = random.Random(how)
    cut = draw.randrange(len(data))
    if how % 4 == 0:
        return data[:cut]
    if how % 4 == 1:
        return data[:cut] + bytes(len(data) - cut)
    if how % 4 == 2:
        return data[:cut] + bytes([draw.randrange(256)]) + data[cut + 1 :]
    return data[:cut] + data[draw.randrange(len(data)) :]


@pytest.mark.parametrize("name", ["oracle.json", "trial_1/trial.json", "tuner0.json"])
def test_damage_anywhere_costs_no_more_than_the_file(tmp_path: Path, name: str) -> None:
    trials = [trial(str(i), 2.0 - i) for i in range(3)]
    state = oracle(start_order=["0", "1", "2"], end_order=["0", "1", "2"])
    root = write(tmp_path, trials, state)
    whole = (root / name).read_bytes()
    told = 0
    for how in range(150):
        (root / name).write_bytes(damaged(whole, how))
        present = {p: p.read_bytes() for p in root.rglob("*.json")}
        project = read_project(root)
        told += bool(project.problems)
        assert all(problem.startswith(name) for problem in project.problems)
        assert {"0", "2"} <= set(project.trials)
        others = [i for i in project.trials if i != "1"] if name.startswith("trial") else list(project.trials)
        assert others == (["0", "2"] if name.startswith("trial") else ["0", "1", "2"])
        if name.startswith("trial"):
            assert project.unread in ((), ("1",))
            assert ("1" in project.trials) == (project.unread == ())
        assert {p: p.read_bytes() for p in root.rglob("*.json")} == present
    assert told > (100 if len(whole) > 2 else 60)


def test_trials_whose_file_is_gone_are_named(tmp_path: Path) -> None:
    root = write(tmp_path, [trial(str(i)) for i in range(4)], oracle(start_order=["0", "1", "2", "3"]))
    (root / "trial_1/trial.json").unlink()
    (root / "trial_3/trial.json").unlink()
    (root / "trial_3").rmdir()
    project = read_project(root)
    assert list(project.trials) == ["0", "2"]
    assert project.problems == ("oracle.json: names trials that have no trial.json, which are left out: 1, 3",)
    assert project.unread == ("1",)


def test_whole_files_that_are_something_else(tmp_path: Path) -> None:
    root = write(tmp_path, [trial(str(i)) for i in range(13)])
    bad: list[Any] = [
        [],
        {},
        trial("1", status="DONE"),
        trial("2", None),
        trial("3", hyperparameters={"values": []}),
        trial("4", metrics={"metrics": {"val_loss": 7}}),
        trial("5", metrics={"metrics": {"val_loss": {"observations": [{"value": ["x"], "step": 0}]}}}),
        trial("6", score="good"),
        trial("7", best_step=True),
        trial("8", score=10**400),
    ]
    for number, data in enumerate(bad):
        (root / f"trial_{number}/trial.json").write_text(json.dumps(data))
    (root / "trial_10/trial.json").unlink()
    (root / "trial_10/trial.json").mkdir()
    (root / "trial_11/trial.json").write_text("[" * 100_000)
    project = read_project(root)
    assert list(project.trials) == ["12"]
    assert len(project.problems) == len(project.unread) == 12
    assert "trial_2/trial.json: status: expected one of a trial, got 'DONE'; the trial is left out" in project.problems
    for odd in ([1], {"start_order": 7, "hyperparameters": [], "display": {"trial_start": {"12": 5}}}, {"seed": "x"}):
        (root / "oracle.json").write_text(json.dumps(odd))
        assert list(read_project(root).trials) == ["12"]


def test_one_warning_names_every_bad_file_and_the_rest_is_there(tmp_path: Path) -> None:
    root = write(tmp_path, [trial(str(i)) for i in range(4)])
    for name in ("oracle.json", "trial_1/trial.json", "trial_3/trial.json"):
        (root / name).write_bytes(b"")
    with pytest.warns(KrigeTunerWarning) as caught:
        state = imported(root)
    assert len(caught) == 1
    for name in ("oracle.json", "trial_1/trial.json", "trial_3/trial.json"):
        assert f"{name}: expected JSON, got an empty file" in str(caught[0].message)
    assert [r.trial_id for r in state.trials.values()] == ["0", "2"]
    assert len(state.parameters) == 2  # told by the trials


def test_a_missing_oracle_file_costs_the_order_only(tmp_path: Path) -> None:
    root = write(tmp_path, [trial(f"{i:02d}") for i in range(12)])
    (root / "oracle.json").unlink()
    (root / "tuner0.json").unlink()
    with pytest.warns(KrigeTunerWarning, match=r"oracle\.json: expected a file, got none"):
        state = imported(root)
    assert [r.trial_id for r in state.trials.values()] == [f"{i:02d}" for i in range(12)]


def test_nothing_is_recorded_when_recording_fails(tmp_path: Path) -> None:
    from krigetuner.store.database import DatabaseStore

    store = DatabaseStore(tmp_path / "study.sqlite")
    write(tmp_path / "p", [trial("0"), trial("1")])
    store._connection._raw.execute(
        "CREATE TRIGGER full BEFORE INSERT ON events WHEN NEW.position > 3 BEGIN SELECT RAISE(ABORT, 'full'); END"
    )
    with pytest.raises(StoreError, match="full"):
        take_over(Ledger(store), tmp_path / "p", "p")
    assert store.state().position == 0
    store._connection._raw.execute("DROP TRIGGER full")
    ledger = Ledger(store)
    take_over(ledger, tmp_path / "p", "p")
    assert [r.trial_id for r in store.state().trials.values()] == ["0", "1"]
    assert vars(store.state()) == vars(ledger.state)
    store.close()


def test_what_is_a_project(tmp_path: Path) -> None:
    assert not is_project(tmp_path / "absent")
    (tmp_path / "oracle.json").write_text("{}")
    assert not is_project(tmp_path)
    assert foreign_files(tmp_path) == []
    (tmp_path / "trial_0").mkdir()
    (tmp_path / "trial_0/trial.json").touch()
    assert is_project(tmp_path)
    assert [p.name for p in foreign_files(tmp_path)] == ["trial_0", "oracle.json"]
    (tmp_path / "trial_0" / MARK).touch()
    assert not is_project(tmp_path)
