"""Projects that keras_tuner 1.4.8 wrote are continued, and projects that we write are loaded and continued by it."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest

os.environ.setdefault("PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION", "python")

import krigetuner as kt
from krigetuner.run.keras_tuner_export import export
from krigetuner.store.database import DatabaseStore

pytestmark = [pytest.mark.compat, pytest.mark.filterwarnings("ignore")]

KINDS: dict[str, dict[str, Any]] = {
    "RandomSearch": {"max_trials": 4},
    "BayesianOptimization": {"max_trials": 4, "num_initial_points": 9},  # KerasTuner's model takes seconds
    "GridSearch": {"max_trials": 4},
    "Hyperband": {"max_epochs": 4, "factor": 2},
}


def build(hp: Any) -> None:
    """Numbers of every kind, a branch, names with slashes."""
    hp.Float("rate", 1e-4, 1e-1, sampling="log")
    hp.Float("tenth", 0, 1, step=0.1)
    hp.Int("units", 8, 64, step=2, sampling="log")
    kind = hp.Choice("kind", ["a", "b"])
    with hp.conditional_scope("kind", ["b"]), hp.name_scope("deep/er"):
        if kind == "b":
            hp.Boolean("flag")
            hp.Fixed("depth", 3)
    hp.Choice("whether", [True, False])


def loss(values: Any) -> float:
    return float(abs(values["rate"] - 0.01) + values["tenth"] + values["units"] / 64 + 0.3 * (values["kind"] == "b"))


def tuner(module: Any, kind: str, directory: Path, fails: Any = (), **kwargs: Any) -> Any:
    """A tuner whose trials cost nothing; those with ids in `fails` raise."""

    class Quick(getattr(module, kind)):  # type: ignore[misc]
        def run_trial(self, trial: Any, *args: Any, **fit: Any) -> Any:
            if trial.trial_id in fails:
                raise fails[trial.trial_id] if isinstance(fails, dict) else ValueError("it broke")
            return {"val_loss": loss(trial.hyperparameters.values), "val_acc": 0.5}

    return Quick(build, "val_loss", directory=directory, project_name="p", **{"seed": 3, **KINDS[kind], **kwargs})


def searched(*args: Any, **kwargs: Any) -> Any:
    made = tuner(*args, **kwargs)
    made.search(verbose=0)
    return made


def digests(directory: Path) -> dict[str, str]:
    """The hash of every file that is not our database."""
    files = [p for p in directory.rglob("*") if p.is_file() and not p.name.startswith("study.sqlite")]
    return {str(p.relative_to(directory)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def told(trials: Any) -> dict[str, Any]:
    """What both sides know of trials, with numbers up to their last digits."""
    return {
        t.trial_id: (
            {n: pytest.approx(v, rel=1e-9) if isinstance(v, float) else v for n, v in t.hyperparameters.values.items()},
            t.score,
            t.best_step,
            t.status,
            {n: t.metrics.get_best_value(n) for n in sorted(t.metrics.metrics)},
        )
        for t in trials
    }


def key(values: Any) -> str:
    """The identity of a configuration, whatever the last digits of its numbers and its place in a schedule."""
    items = sorted((n, v) for n, v in values.items() if not n.startswith("tuner/"))
    return str([(n, v if isinstance(v, str) else f"{v:.10g}") for n, v in items])


def first_rounds(trials: Any) -> list[str]:
    """The configurations that were drawn, not promoted."""
    return [key(t.hyperparameters.values) for t in trials if "tuner/trial_id" not in t.hyperparameters.values]


# --- from KerasTuner


@pytest.mark.parametrize("kind", KINDS)
def test_a_project_is_continued_where_it_stood(keras_tuner: Any, tmp_path: Path, kind: str, capsys: Any) -> None:
    before = searched(keras_tuner, kind, tmp_path, fails={"2": ValueError("it broke"), "0002": ValueError("it broke")})
    files, known = digests(tmp_path / "p"), dict(before.oracle.trials)
    more = {"hyperband_iterations": 2} if kind == "Hyperband" else {"max_trials": 5}
    ours = tuner(kt, kind, tmp_path, **more)
    assert f"Going on with {len(known)} trials of KerasTuner's" in capsys.readouterr().err
    assert told(ours.oracle.trials.values()) == told(known.values())
    assert "it broke" in (ours.oracle.trials[sorted(known)[2]].message or "")
    assert ours.oracle.start_order == before.oracle.start_order
    assert ours.oracle.end_order == before.oracle.end_order
    assert [p.name for p in ours.oracle.get_space().space] == [p.name for p in before.oracle.get_space().space]
    best = before.oracle.get_best_trials(3)
    assert [t.score for t in ours.oracle.get_best_trials(3)] == [t.score for t in best]
    ours.search(verbose=0)
    drawn = first_rounds(ours.oracle.trials.values())
    assert len(set(drawn)) == len(drawn) > len(first_rounds(known.values()))
    assert len(ours.oracle.trials) == 5 or kind == "Hyperband"
    assert digests(tmp_path / "p") == files
    again = tuner(kt, kind, tmp_path, **more)
    assert told(again.oracle.trials.values()) == told(ours.oracle.trials.values())
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("damage", [False, True])
def test_hyperband_goes_on_in_its_brackets(keras_tuner: Any, tmp_path: Path, damage: bool) -> None:
    stop = {f"{n:04d}": KeyboardInterrupt() for n in (9,)}
    with pytest.raises(KeyboardInterrupt):
        searched(keras_tuner, "Hyperband", tmp_path, fails=stop)
    if damage:  # the brackets can be told from the trials
        (tmp_path / "p/oracle.json").write_bytes(b"")
    ours = searched(kt, "Hyperband", tmp_path)
    whole = searched(keras_tuner, "Hyperband", tmp_path / "whole")

    def places(trials: Any) -> list[Any]:
        names = ("tuner/epochs", "tuner/initial_epoch", "tuner/round")
        return sorted([t.hyperparameters.values[n] for n in names] for t in trials)

    assert places(ours.oracle.trials.values()) == places(whole.oracle.trials.values())
    for trial in ours.oracle.trials.values():
        parent = trial.hyperparameters.values.get("tuner/trial_id")
        if parent is not None:
            promoted = ours.oracle.trials[parent].hyperparameters.values
            assert key(promoted) == key(trial.hyperparameters.values)
            assert promoted["tuner/epochs"] == trial.hyperparameters.values["tuner/initial_epoch"]


def test_the_trial_that_was_cut_short_runs_first_with_its_values(keras_tuner: Any, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        searched(keras_tuner, "RandomSearch", tmp_path, fails={"2": KeyboardInterrupt()})
    state = json.loads((tmp_path / "p/trial_2/trial.json").read_text())
    ours = tuner(kt, "RandomSearch", tmp_path)
    assert ours.remaining_trials == 1
    trial = ours.oracle.create_trial("tuner0")
    assert (trial.trial_id, trial.attempt) == ("2", 1)
    assert key(trial.hyperparameters.values) == key(state["hyperparameters"]["values"])


def test_a_trial_that_waits_for_its_retry_has_the_attempts_left_that_it_had(keras_tuner: Any, tmp_path: Path) -> None:
    made = tuner(keras_tuner, "RandomSearch", tmp_path, max_retries_per_trial=2)
    trial = made.oracle.create_trial("tuner0")
    trial.status, trial.message = "INVALID", "Traceback: first"
    made.on_trial_end(trial)
    ours = searched(kt, "RandomSearch", tmp_path, fails={"0": ValueError()}, max_retries_per_trial=2)
    record = ours.oracle.trials["0"]
    assert (record.status, record.attempt, len(ours.oracle.trials)) == ("FAILED", 2, 4)


def test_an_objective_that_is_not_that_of_the_scores_is_refused(keras_tuner: Any, tmp_path: Path) -> None:
    class Other(kt.RandomSearch):
        def run_trial(self, trial: Any, *args: Any, **fit: Any) -> Any:
            return 1.0

    searched(keras_tuner, "RandomSearch", tmp_path)
    files = digests(tmp_path)
    with pytest.raises(kt.errors.StudyMismatch, match="expected a search for objective 'val_acc', got a KerasTuner"):
        Other(build, "val_acc", directory=tmp_path, project_name="p")
    assert digests(tmp_path) == files
    assert len(tuner(kt, "RandomSearch", tmp_path).oracle.trials) == 4


def test_overwrite_moves_the_files_aside(keras_tuner: Any, tmp_path: Path) -> None:
    searched(keras_tuner, "RandomSearch", tmp_path)
    (tmp_path / "p/notes.txt").write_text("mine")
    files = {name: digest for name, digest in digests(tmp_path / "p").items() if name != "notes.txt"}
    ours = searched(kt, "RandomSearch", tmp_path, overwrite=True)
    assert len(ours.oracle.trials) == 4
    assert digests(tmp_path / "p/keras_tuner_1") == files
    assert (tmp_path / "p/notes.txt").read_text() == "mine"
    ours = tuner(kt, "RandomSearch", tmp_path, overwrite=True)
    assert not ours.oracle.trials
    assert digests(tmp_path / "p/keras_tuner_1") == files
    assert not (tmp_path / "p/keras_tuner_2").exists()


def test_nan_and_infinity_survive(keras_tuner: Any, tmp_path: Path) -> None:
    results = iter([1.0, float("inf"), float("nan"), 2.0])

    def run_trial(self: Any, trial: Any, **fit: Any) -> Any:
        return {"val_loss": next(results), "odd": float("-inf")}

    made = type("Odd", (keras_tuner.RandomSearch,), {"run_trial": run_trial})
    made(build, "val_loss", max_trials=4, directory=tmp_path, project_name="p").search(verbose=0)
    ours = tuner(kt, "RandomSearch", tmp_path).oracle
    assert [t.status for t in ours.trials.values()] == ["COMPLETED", "COMPLETED", "FAILED", "COMPLETED"]
    assert ours.trials["1"].score == float("inf")
    assert [t.trial_id for t in ours.get_best_trials(4)] == ["0", "3"]
    assert ours.trials["0"].metrics.get_best_value("odd") == float("-inf")


@pytest.mark.parametrize(
    ("low", "high", "step", "sampling"),
    [(0, 1, 0.1, "linear"), (0.1, 0.9, 0.07, "linear"), (1e-5, 0.1, 10, "log"), (1e-3, 1, 10, "reverse_log")],
)
def test_stepped_numbers_there_and_back(keras_tuner: Any, low: float, high: float, step: float, sampling: str) -> None:
    from krigetuner.run.keras_tuner_export import _has, _value
    from krigetuner.space.parameters import Float
    from krigetuner.space.space import Space
    from krigetuner.store.keras_tuner_space import legal_values

    ours = Float("x", low, high, step, sampling)
    values = list(keras_tuner.engine.hyperparameters.Float("x", low, high, step, sampling).values)
    for value in values:
        legal = legal_values(Space([ours]), {"x": value})["x"]
        assert legal in ours.values
        assert _value(ours, legal) == value
    assert [_has(ours, value) for value in ours.values] == [_value(ours, value) in values for value in ours.values]


# --- to KerasTuner


def exported(directory: Path, target: Path) -> list[str]:
    store = DatabaseStore(directory / "p/study.sqlite", read_only=True)
    try:
        return export(store.state(), directory / "p", target / "p")
    finally:
        store.close()


@pytest.mark.parametrize("kind", KINDS)
def test_keras_tuner_loads_what_we_write_and_goes_on(keras_tuner: Any, tmp_path: Path, kind: str) -> None:
    fails = {"2": ValueError("it broke"), "0002": ValueError("it broke")}
    ours = searched(kt, kind, tmp_path / "ours", fails=fails)
    before = digests(tmp_path / "ours")
    exported(tmp_path / "ours", tmp_path / "out")
    assert digests(tmp_path / "ours") == before
    more = {"hyperband_iterations": 2} if kind == "Hyperband" else {"max_trials": 5}
    loaded = tuner(keras_tuner, kind, tmp_path / "out", **more)
    loaded.oracle.hyperband_iterations = 2  # it takes the file's, whatever the code says
    assert told(loaded.oracle.trials.values()) == told(ours.oracle.trials.values())
    assert loaded.oracle.start_order == ours.oracle.start_order
    assert loaded.oracle.end_order == ours.oracle.end_order
    best = [t.score for t in ours.oracle.get_best_trials(3)]
    assert [t.score for t in loaded.oracle.get_best_trials(3)] == best
    loaded.results_summary()
    for trial in loaded.oracle.trials.values():
        assert loaded.oracle._compute_values_hash(trial.hyperparameters.values) in loaded.oracle._tried_so_far
        assert loaded.oracle._id_to_hash[trial.trial_id] is not None
    if kind == "BayesianOptimization":
        x, y = loaded.oracle._vectorize_trials()
        assert x.shape == (3, 6)
        assert ((x >= 0) & (x <= 1)).all()
        assert sorted(y) == sorted(t.score for t in ours.oracle.get_best_trials(3))
    loaded.search(verbose=0)
    drawn = first_rounds(loaded.oracle.trials.values())
    if kind == "GridSearch":  # it cannot go on with its own projects either
        assert len(drawn) == 4
    else:
        assert len(loaded.oracle.trials) == 5 or kind == "Hyperband"
        assert len(set(drawn)) == len(drawn) > len(first_rounds(ours.oracle.trials.values()))


def test_keras_tuner_goes_on_in_our_brackets(keras_tuner: Any, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        searched(kt, "Hyperband", tmp_path / "ours", fails={"0009": KeyboardInterrupt()})
    exported(tmp_path / "ours", tmp_path / "out")
    loaded = searched(keras_tuner, "Hyperband", tmp_path / "out")
    whole = searched(kt, "Hyperband", tmp_path / "whole")
    names = ("tuner/epochs", "tuner/initial_epoch", "tuner/round")
    places = [
        sorted([t.hyperparameters.values[n] for n in names] for t in t.oracle.trials.values()) for t in (loaded, whole)
    ]
    assert places[0] == places[1]
    assert {t.status for t in loaded.oracle.trials.values()} == {"COMPLETED"}


def test_a_small_space_is_not_repeated_by_keras_tuner(keras_tuner: Any, tmp_path: Path) -> None:
    def small(hp: Any) -> None:
        hp.Float("x", 0, 1, step=0.3)
        hp.Int("n", 1, 2)

    def search(module: Any, directory: Path, count: int) -> Any:
        made = type(
            "Small",
            (module.RandomSearch,),
            {"run_trial": lambda self, t, **fit: {"val_loss": t.hyperparameters.get("x")}},
        )
        tuner = made(small, "val_loss", max_trials=count, directory=directory, project_name="p", seed=1)
        tuner.search(verbose=0)
        return [key(tuner.oracle.trials[i].hyperparameters.values) for i in tuner.oracle.start_order]

    first = search(kt, tmp_path / "ours", 5)
    assert exported(tmp_path / "ours", tmp_path / "out") == []
    after = search(keras_tuner, tmp_path / "out", 8)
    assert after[:5] == first
    assert len(set(after)) == len(after)


def test_what_keras_tuner_does_not_have_is_said(tmp_path: Path) -> None:
    ours = tuner(kt, "GridSearch", tmp_path / "ours", seed=-5)
    ours.add_observation({"tenth": 1.0}, 0.5)
    ours.search(verbose=0)
    ours.enqueue({"units": 16})
    ours.oracle.close()
    text = "\n".join(exported(tmp_path / "ours", tmp_path / "out"))
    assert "grid search: KerasTuner 1.4.8 shows such a project" in text
    assert "tenth: KerasTuner's Float" in text
    assert "lacks [1.0]" in text
    assert "whether: KerasTuner makes 1 and 0" in text
    assert "seed: KerasTuner takes numbers from 0 to 4294967295; -5 has become 5" in text
    assert "1 are left out" in text
    assert "1 count towards its max_trials" in text


@pytest.mark.parametrize("kind", ["RandomSearch", "Hyperband"])
def test_there_and_back_again_is_the_same(keras_tuner: Any, tmp_path: Path, kind: str) -> None:
    searched(keras_tuner, kind, tmp_path / "first", fails={"2": ValueError("it broke"), "0002": ValueError("it broke")})
    ours = tuner(kt, kind, tmp_path / "first")
    ours.oracle.close()
    exported(tmp_path / "first", tmp_path / "second")
    for path in sorted((tmp_path / "first/p").glob("*/trial.json")):
        before = json.loads(path.read_text())
        after = json.loads((tmp_path / "second/p" / path.relative_to(tmp_path / "first/p")).read_text())
        for part in ("trial_id", "metrics", "score", "best_step", "status", "message"):
            assert after[part] == before[part]
        assert after["hyperparameters"]["values"] == before["hyperparameters"]["values"]
        assert after["hyperparameters"]["space"] == before["hyperparameters"]["space"]
    before, after = (json.loads((tmp_path / d / "p/oracle.json").read_text()) for d in ("first", "second"))
    for part in ("start_order", "end_order", "run_times", "retry_queue", "seed", "id_to_hash", "hyperparameters"):
        assert after[part] == before[part], part
    assert sorted(after["tried_so_far"]) == sorted(before["tried_so_far"])


# --- with Keras


@pytest.mark.slow
def test_models_go_both_ways(keras_tuner: Any, tmp_path: Path) -> None:
    import keras
    import numpy as np

    x = np.random.default_rng(0).normal(size=(32, 3)).astype("float32")

    def model(hp: Any) -> Any:
        made = keras.Sequential([keras.layers.Dense(hp.Int("units", 1, 4)), keras.layers.Dense(1)])
        made.compile("sgd", "mse", run_eagerly=True)
        return made

    def search(module: Any, directory: Path, count: int) -> Any:
        made = module.RandomSearch(model, "val_loss", max_trials=count, directory=directory, project_name="p", seed=1)
        made.search(x, x[:, :1], validation_data=(x, x[:, :1]), epochs=1, verbose=0)
        return made

    def outputs(made: Any) -> Any:
        return made.get_best_models(1)[0].predict(x, verbose=0)

    first = search(keras_tuner, tmp_path / "a", 1)
    expected = outputs(first)
    ours = search(kt, tmp_path / "a", 1)
    assert len(ours.oracle.trials) == 1
    np.testing.assert_allclose(outputs(ours), expected, rtol=1e-6)
    files = digests(tmp_path / "a/p")
    ours = search(kt, tmp_path / "a", 2)
    assert files.items() <= digests(tmp_path / "a/p").items()
    expected = outputs(ours)
    ours.oracle.close()
    assert exported(tmp_path / "a", tmp_path / "b") == []
    back = search(keras_tuner, tmp_path / "b", 2)
    np.testing.assert_allclose(outputs(back), expected, rtol=1e-6)
    assert [t.score for t in back.oracle.get_best_trials(4)] == pytest.approx(
        [t.score for t in ours.oracle.get_best_trials(4)]
    )
