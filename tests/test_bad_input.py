"""Bad input of every kind: a clear error that says what to do, and nothing recorded is lost."""

from __future__ import annotations

import contextlib
import math
import os
import sqlite3
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import krigetuner as kt
from krigetuner.errors import StoreError, StudyLocked, StudyMismatch
from krigetuner.trial.history import Origin

Case = Callable[[Path], None]


def hps(name: str = "units") -> kt.HyperParameters:
    hp = kt.HyperParameters()
    hp.Int(name, 1, 100)
    return hp


def oracle(objective: Any = "val_loss", **options: Any) -> Any:
    return kt.oracles.RandomSearchOracle(objective, **{"hyperparameters": hps(), "seed": 1, **options})


def refuses(error: type[Exception], text: str, make: Callable[[Path], Any]) -> Case:
    def case(path: Path) -> None:
        with pytest.raises(error, match=text):
            make(path)

    return case


def asks(**options: Any) -> Callable[[Path], Any]:
    return lambda path: kt.oracles.BayesianOptimizationOracle("val_loss", **options)


def space(ask: Callable[[kt.HyperParameters], Any]) -> Callable[[Path], Any]:
    return lambda path: ask(kt.HyperParameters())


def trial_of(one: Any, value: float) -> Any:
    trial = one.create_trial("t")
    one.update_trial(trial.trial_id, {"val_loss": value})
    trial.status = "COMPLETED"
    one.end_trial(trial)
    return trial


def objective_absent_from_the_logs(path: Path) -> None:
    one = oracle("val_auc")
    trial = one.create_trial("t")
    with pytest.raises(ValueError, match=r"expected: \['val_auc'\], found: \['accuracy', 'loss'\]"):
        one.update_trial(trial.trial_id, {"loss": 1.0, "accuracy": 0.5})


def nan_objective(path: Path) -> None:
    one = oracle(max_retries_per_trial=1, max_trials=3)
    first = trial_of(one, math.nan)
    assert first.status == "INVALID"
    again = trial_of(one, math.nan)
    assert (again.trial_id, again.status) == (first.trial_id, "FAILED")
    assert "val_loss: expected a finite number, got nan" in again.message
    assert trial_of(one, 0.5).status == "COMPLETED"
    assert [t.score for t in one.get_best_trials(3)] == [0.5]


def recorded(path: Path) -> None:
    one = oracle()
    one._set_project_dir(path, "project")
    trial_of(one, 1.0)
    one.close()


def unrelated_space(path: Path) -> None:
    recorded(path)
    other = oracle(hyperparameters=hps("filters"))
    with pytest.raises(StudyMismatch, match=r"'filters'.*'units'.*another project_name.*overwrite=True"):
        other._set_project_dir(path, "project")
    nothing_lost(path)


def unrelated_objective(path: Path) -> None:
    recorded(path)
    with pytest.raises(StudyMismatch, match=r"'val_accuracy' \(max\).*'val_loss' \(min\).*overwrite=True"):
        oracle("val_accuracy")._set_project_dir(path, "project")
    nothing_lost(path)


def nothing_lost(path: Path) -> None:
    one = oracle()
    one._set_project_dir(path, "project")
    assert [t.score for t in one.trials.values()] == [1.0]


def read_only_directory(path: Path) -> None:
    locked = path / "locked"
    locked.mkdir(mode=0o500)
    if os.access(locked, os.W_OK):
        locked = Path("/proc/self")  # nobody, not even root, makes directories here
        if not locked.exists():
            pytest.skip("this user may write everywhere")
    one = oracle()
    with pytest.raises(StoreError, match=r"project: expected .*, got .*; choose another directory="):
        one._set_project_dir(locked, "project")
    assert trial_of(one, 1.0).status == "COMPLETED"


def damaged_database(path: Path) -> None:
    recorded(path)
    (path / "project" / "study.sqlite").write_bytes(b"not a database" * 500)
    for suffix in ("-wal", "-shm"):
        (path / "project" / f"study.sqlite{suffix}").unlink(missing_ok=True)
    with pytest.raises(StoreError, match=r"study\.sqlite"):
        oracle()._set_project_dir(path, "project")
    assert (path / "project" / "study.sqlite").read_bytes().startswith(b"not a database"), (
        "nothing is overwritten unasked"
    )
    again = oracle()
    again._set_project_dir(path, "project", overwrite=True)
    assert again.trials == {}


def partly_readable_database(path: Path) -> None:
    one = oracle(max_trials=None)
    one._set_project_dir(path, "project")
    scores = [float(trial_of(one, float(n)).score) for n in range(100)]
    one.close()
    file = path / "project" / "study.sqlite"
    file.write_bytes(file.read_bytes()[: file.stat().st_size * 2 // 3])
    with pytest.raises(
        StoreError, match=r"it is damaged.* events that could be read: .* trials in .*-recovered\.sqlite: .*completed"
    ):
        oracle(max_trials=None)._set_project_dir(path, "project")
    (path / "again").mkdir()
    (path / "project" / "study-recovered.sqlite").rename(path / "again" / "study.sqlite")
    again = oracle(max_trials=None)
    again._set_project_dir(path, "again")
    found = [t.score for t in again.trials.values() if t.status == "COMPLETED"]
    assert set(found) <= set(scores)
    assert len(found) > 30
    assert trial_of(again, 1.0).status == "COMPLETED"


def database_of_a_newer_version(path: Path) -> None:
    recorded(path)
    with contextlib.closing(sqlite3.connect(path / "project" / "study.sqlite")) as connection:
        connection.execute("update krigetuner set version = 99")
        connection.commit()
    before = (path / "project" / "study.sqlite").read_bytes()
    with pytest.raises(
        StoreError, match=r"version 2 or earlier, got version 99; .*upgrade to go on with it, or use ano"
    ):
        oracle()._set_project_dir(path, "project")
    assert (path / "project" / "study.sqlite").read_bytes() == before


def names_that_lead_out_of_the_directory(path: Path) -> None:
    for name in ("..", "../x", "a/../../x", str(path / "x")):
        with pytest.raises(
            ValueError, match=r"project_name: expected a name in .*, got .*, which leads out of it; give"
        ):
            oracle()._set_project_dir(path / "inside", name)
        with pytest.raises(ValueError, match="project_name: expected a name in"):
            kt.RandomSearch(lambda hp: hp.Int("x", 1, 3), "val_loss", directory=path / "inside", project_name=name)
    for name in ("a\0b", "x/" + "ä" * 128):
        with pytest.raises(ValueError, match=r"project_name: expected a name that a directory can have.*choose"):
            oracle()._set_project_dir(path, name)
    for trial_id in ("../x", "/x", "a/b", ""):
        with pytest.raises(ValueError, match="name: expected one that can be a file's name"):
            oracle()._ledger.asked({}, Origin("given"), trial_id=trial_id)
    assert not list(path.iterdir())


def second_conductor(path: Path) -> None:
    script = (
        "import sys, krigetuner as kt\nhp = kt.HyperParameters()\nhp.Int('units', 1, 100)\n"
        "one = kt.oracles.RandomSearchOracle('val_loss', hyperparameters=hp, seed=1)\n"
        f"one._set_project_dir({str(path)!r}, 'project')\nprint('open', flush=True)\nsys.stdin.read()\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"open\n"
        with pytest.raises(StudyLocked, match=rf"held by process {other.pid} on host"):
            oracle()._set_project_dir(path, "project")
        other.communicate(timeout=120)
    oracle()._set_project_dir(path, "project")


FULL_DISK = """
import resource, signal, sys
import krigetuner as kt
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
hp = kt.HyperParameters()
hp.Float("x", 0.0, 1.0)
one = kt.oracles.RandomSearchOracle("val_loss", max_trials=None, hyperparameters=hp, seed=1)
one._set_project_dir(sys.argv[1], "project")
resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, resource.RLIM_INFINITY))
ended = 0
try:
    while True:
        trial = one.create_trial("t")
        one.update_trial(trial.trial_id, {"val_loss": float(ended), "padding" * 100: 1.0})
        trial.status = "COMPLETED"
        one.end_trial(trial)
        ended += 1
except kt.errors.StoreError as error:
    print(ended, error)
"""


def full_disk(path: Path) -> None:
    pytest.importorskip("resource")
    made = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(path)], capture_output=True, text=True, timeout=300, check=True
    )
    ended, _, text = made.stdout.partition(" ")
    assert int(ended) > 3
    assert "study.sqlite: expected to write" in text
    assert "full disk" in text
    hp = kt.HyperParameters()
    hp.Float("x", 0.0, 1.0)
    one = oracle(hyperparameters=hp, max_trials=None)
    one._set_project_dir(path, "project")
    completed = [t.score for t in one.trials.values() if t.status == "COMPLETED"]
    assert completed == [float(i) for i in range(int(ended))]
    assert trial_of(one, 1.0).status == "COMPLETED"


def tunes(returns: bool, objective: Any, text: str, error: type[Exception], **fit: Any) -> Case:
    """A search of a Keras model that has to be refused before its first epoch."""

    def case(path: Path) -> None:
        import keras

        x = np.ones((8, 2), "float32")

        def build(hp: kt.HyperParameters) -> Any:
            model = keras.Sequential([keras.layers.Dense(hp.Int("units", 1, 4)), keras.layers.Dense(1)])
            model.compile("sgd", "mse", metrics=["mae"])
            return model if returns else None

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Keras and TensorFlow have some of their own
            tuner = kt.RandomSearch(build, objective, max_trials=1, directory=path)
            with pytest.raises(error, match=text):
                tuner.search(x, x[:, :1], verbose=0, **fit)
        assert not list(tuner.oracle._ledger.measurements())
        tuner.oracle.close()

    return case


CASES: dict[str, Case] = {
    "build that returns nothing": tunes(
        False, "val_loss", r"to return a valid Keras Model instance, got None", kt.errors.FatalTypeError
    ),
    "val_ objective without validation data": tunes(
        True, "val_loss", r"expected validation data for val_loss, got neither", kt.errors.FatalValueError
    ),
    "objective that the model is not compiled with": tunes(
        True,
        "val_accuracy",
        r"expected val_accuracy among the metrics that the model is compiled with, "
        r"got \['loss', 'mae', 'val_loss', 'val_mae'\]",
        kt.errors.FatalValueError,
        validation_split=0.5,
    ),
    "unknown acquisition": refuses(
        ValueError,
        r"acquisition: expected one of 'auto', 'ucb', .*, got 'best'; leave it out",
        asks(acquisition="best"),
    ),
    "negative beta": refuses(ValueError, r"beta: expected a finite number of at least 0, got -1", asks(beta=-1)),
    "kappa that is no number": refuses(TypeError, r"kappa: expected a finite number", asks(kappa="large")),
    "negative xi": refuses(ValueError, r"xi: expected a finite number of at least 0, got -0.1", asks(xi=-0.1)),
    "negative alpha": refuses(ValueError, r"alpha: expected a finite number of at least 0", asks(alpha=-1e-4)),
    "negative initial points": refuses(
        ValueError,
        r"num_initial_points: expected a whole number of at least 0 or None, got -1",
        asks(num_initial_points=-1),
    ),
    "reversed bounds of Int": refuses(ValueError, r"min_value", space(lambda hp: hp.Int("x", 5, 1))),
    "reversed bounds of Float": refuses(ValueError, r"min_value", space(lambda hp: hp.Float("x", 0.5, 0.1))),
    "step of zero": refuses(ValueError, r"step", space(lambda hp: hp.Int("x", 1, 5, step=0))),
    "negative step": refuses(ValueError, r"step", space(lambda hp: hp.Float("x", 0.0, 1.0, step=-0.1))),
    "log from zero": refuses(ValueError, r"min_value", space(lambda hp: hp.Float("x", 0.0, 1.0, sampling="log"))),
    "unknown sampling": refuses(ValueError, r"sampling", space(lambda hp: hp.Float("x", 0.1, 1.0, sampling="cubic"))),
    "empty choices": refuses(ValueError, r"values", space(lambda hp: hp.Choice("x", []))),
    "duplicate choices": refuses(ValueError, r"x.*a", space(lambda hp: hp.Choice("x", ["a", "b", "a"]))),
    "mixed choices": refuses(TypeError, r"values", space(lambda hp: hp.Choice("x", ["a", 1]))),
    "default that is no choice": refuses(
        ValueError, r"default", space(lambda hp: hp.Choice("x", ["a", "b"], default="c"))
    ),
    "direction that cannot be inferred": refuses(
        ValueError,
        r'Could not infer optimization direction .*"my_metric".*direction="min"',
        lambda path: oracle("my_metric"),
    ),
    "direction that is none": refuses(
        ValueError, r'direction: expected "min" or "max"', lambda path: kt.Objective("x", "up")
    ),
    "objective of another type": refuses(TypeError, r"`objective` not understood", lambda path: oracle(7)),
    "no objectives": refuses(ValueError, r"objective: expected at least one objective", lambda path: oracle([])),
    "max_trials of zero": refuses(
        ValueError,
        r"max_trials: expected a whole number of at least 1 or None, got 0; None means no limit",
        asks(max_trials=0),
    ),
    "max_trials that is no number": refuses(TypeError, r"max_trials: expected a whole number", asks(max_trials="ten")),
    "negative retries": refuses(
        ValueError,
        r"max_retries_per_trial: expected a whole number of at least 0, got -1",
        asks(max_retries_per_trial=-1),
    ),
    "no failures allowed": refuses(
        ValueError, r"max_consecutive_failed_trials: expected", asks(max_consecutive_failed_trials=0)
    ),
    "seed that is no number": refuses(TypeError, r"seed: expected a whole number or None, got 'abc'", asks(seed="abc")),
    "max_time of zero": refuses(ValueError, r"max_time: expected a finite number above 0, got 0", asks(max_time=0)),
    "target that is not finite": refuses(
        ValueError, r"target: expected a finite number, got nan", asks(target=math.nan)
    ),
    "hyperparameters of another type": refuses(
        TypeError, r"hyperparameters: expected a HyperParameters object", asks(hyperparameters={"x": 1})
    ),
    "nothing to tune": refuses(
        ValueError,
        r"If you set `tune_new_entries=False`, you must specify the search space",
        asks(tune_new_entries=False),
    ),
    "storage that is no place": refuses(
        (ValueError, StoreError),  # type: ignore[arg-type]
        r"storage|expected",
        lambda path: oracle(storage="nosuchdialect://host/x")._set_project_dir(path, "project"),
    ),
    "enqueued value out of range": refuses(
        ValueError, r"units: expected", lambda path: oracle().enqueue({"units": 101})
    ),
    "observation of NaN": refuses(
        ValueError, r"expected a number for 'val_loss', got nan", lambda path: oracle().add_observation({}, math.nan)
    ),
    "objective absent from the logs": objective_absent_from_the_logs,
    "NaN objective": nan_objective,
    "unrelated space": unrelated_space,
    "unrelated objective": unrelated_objective,
    "read-only directory": read_only_directory,
    "full disk": full_disk,
    "damaged database": damaged_database,
    "database that can be read in part": partly_readable_database,
    "database of a newer version": database_of_a_newer_version,
    "names that lead out of the directory": names_that_lead_out_of_the_directory,
    "second conductor": second_conductor,
}


@pytest.mark.parametrize("name", list(CASES))
def test_bad_input(name: str, tmp_path: Path) -> None:
    CASES[name](tmp_path)
