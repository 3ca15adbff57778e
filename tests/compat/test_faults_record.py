"""KerasTuner 1.4.8 loses or mangles what was recorded; ours does not. B1 ... B19 are lines of the list of faults."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
import warnings
from pathlib import Path
from typing import Any

import pytest
from tests.compat.fault_driver import LOSS, Plain, grid_of_six, random_oracle, searched, statuses, values

import krigetuner as kt


def parabola(trial: Any) -> float:
    return float(trial.hyperparameters.Float("x", -1.0, 1.0) ** 2)


def test_b1_kill_9_loses_nothing(tmp_path: Path) -> None:
    """Killed inside a trial and between two: the project is read again, and ends as if nothing had happened."""
    script = Path(__file__).with_name("kill_script.py")
    codes = [subprocess.run([sys.executable, script, tmp_path], check=False).returncode for _ in range(3)]
    assert codes == [-9, -9, 0]
    again = Plain(parabola, random_oracle(8), directory=tmp_path)
    assert statuses(again) == ["COMPLETED"] * 8
    assert values(again) == values(searched(parabola, random_oracle(8), tmp_path / "undisturbed"))
    again.oracle.close()


def test_b2_a_reader_sees_every_state_whole(tmp_path: Path) -> None:
    """A reader polls while trials are recorded: it never meets an empty, cut or shrinking record."""
    counts, done, trials = [0], threading.Event(), 60

    def poll() -> None:
        file = tmp_path / "untitled_project" / "study.sqlite"
        while not file.exists():
            done.wait(0.001)
        database = sqlite3.connect(file, timeout=30)
        while True:
            last = done.is_set()
            found = database.execute("SELECT count(*) FROM trials WHERE score IS NOT NULL").fetchone()[0]
            counts.append(found)
            if last:
                break
        database.close()

    tuner = Plain(parabola, random_oracle(trials), directory=tmp_path)
    reader = threading.Thread(target=poll)
    reader.start()
    tuner.search(verbose=0)
    done.set()
    reader.join()
    tuner.oracle.close()
    assert counts == sorted(counts)
    assert counts[-1] == trials


def test_b2_a_damaged_record_is_named_and_left_alone(tmp_path: Path) -> None:
    searched(parabola, random_oracle(), tmp_path)
    file = tmp_path / "untitled_project" / "study.sqlite"
    whole = file.read_bytes()
    for damaged in (whole[: len(whole) // 2], b"{}" * 300):
        file.write_bytes(damaged)
        with pytest.raises(kt.errors.StoreError, match=r"study\.sqlite"):
            Plain(parabola, random_oracle(), directory=tmp_path)
        assert file.read_bytes() == damaged
    file.write_bytes(whole)
    again = Plain(parabola, random_oracle(), directory=tmp_path)
    assert statuses(again) == ["COMPLETED"] * 3
    again.oracle.close()


@pytest.mark.parametrize("inside", [True, False], ids=["inside a trial", "between trials"])
def test_b3_a_grid_search_goes_on(inside: bool, tmp_path: Path) -> None:
    def grid(trials: int | None = None) -> kt.Oracle:
        return kt.oracles.GridSearchOracle(objective=LOSS, max_trials=trials)

    def interrupted(trial: Any) -> float:
        if trial.number == 3:
            raise KeyboardInterrupt
        return grid_of_six(trial)

    if inside:
        with pytest.raises(KeyboardInterrupt):
            searched(interrupted, grid(), tmp_path)
    else:
        assert len(values(searched(grid_of_six, grid(3), tmp_path))) == 3
    tuner = searched(grid_of_six, grid(), tmp_path)
    assert values(tuner) == values(searched(grid_of_six, grid(), tmp_path / "undisturbed"))
    assert statuses(tuner) == ["COMPLETED"] * 6


def test_b4_the_codes_space_rules_after_a_restart(tmp_path: Path) -> None:
    def space(low: int, high: int) -> kt.HyperParameters:
        hp = kt.HyperParameters()
        hp.Int("x", low, high)
        return hp

    searched(lambda trial: 1.0, random_oracle(3, hyperparameters=space(0, 5)), tmp_path)
    with pytest.warns(kt.KrigeTunerWarning, match="x"):
        tuner = searched(lambda trial: 1.0, random_oracle(3, hyperparameters=space(100, 105)), tmp_path)
    assert all(100 <= v["x"] <= 105 for v in values(tuner)[3:])
    assert len(values(tuner)) == 6  # those of the old space do not count


def test_b4_the_codes_options_rule_after_a_restart(tmp_path: Path) -> None:
    def oracle(**options: Any) -> Any:
        return kt.oracles.BayesianOptimizationOracle(objective=LOSS, max_trials=2, **options)

    searched(parabola, oracle(seed=1), tmp_path)
    with pytest.warns(kt.KrigeTunerWarning, match="beta"):
        tuner = Plain(parabola, oracle(beta=99, alpha=0.5, seed=5), directory=tmp_path)
    assert (tuner.oracle.beta, tuner.oracle.alpha, tuner.oracle.seed) == (99, 0.5, 5)
    tuner.oracle.close()


def test_b4_a_finished_hyperband_search_gets_more_epochs_and_iterations(tmp_path: Path) -> None:
    def oracle(max_epochs: int, iterations: int) -> kt.Oracle:
        options = {"objective": LOSS, "max_epochs": max_epochs, "hyperband_iterations": iterations, "seed": 1}
        return kt.oracles.HyperbandOracle(**options)

    before = len(values(searched(parabola, oracle(3, 1), tmp_path)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", kt.KrigeTunerWarning)
        after = len(values(searched(parabola, oracle(9, 3), tmp_path)))
    assert after > before


def test_b4_a_tuner_with_a_name_of_its_own_reloads(tmp_path: Path) -> None:
    class Named(kt.RandomSearch):
        def run_trial(self, trial: Any, *args: Any, **kwargs: Any) -> float:
            return parabola(trial)

    for _ in range(2):
        tuner = Named(max_trials=3, directory=tmp_path, tuner_id="abc")
        tuner.search(verbose=0)
        tuner.oracle.close()
    assert statuses(tuner) == ["COMPLETED"] * 3


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of Keras beside numpy 2
def test_b12_weights_of_the_best_trials_only(tmp_path: Path) -> None:
    import keras

    class Saving(kt.RandomSearch):
        def run_trial(self, trial: Any, *args: Any, **kwargs: Any) -> float:
            self.save_model(trial.trial_id, keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)]))
            return float(trial.number)

    hp = kt.HyperParameters()
    hp.Float("x", 0, 1)
    tuner = Saving(max_trials=14, directory=tmp_path, hyperparameters=hp)
    tuner.search(verbose=0)
    tuner.oracle.close()
    kept = sorted(file.parent.name for file in tmp_path.rglob("*.h5"))
    assert kept == [f"trial_{number:02}" for number in range(10)]


def test_b13_an_interrupted_search_goes_on_in_the_same_process(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(trial: Any) -> float:
        if trial.number == 1 and trial.attempt == 0:
            raise KeyboardInterrupt
        return parabola(trial)

    tuner = Plain(interrupted, random_oracle(3), directory=tmp_path)
    with pytest.raises(KeyboardInterrupt):
        tuner.search(verbose=0)
    assert "Traceback" not in capsys.readouterr().err
    assert tuner.get_best_hyperparameters()
    tuner.search(verbose=0)
    assert statuses(tuner) == ["COMPLETED"] * 3
    tuner.oracle.close()


def test_b17_overwrite_leaves_foreign_files(tmp_path: Path) -> None:
    searched(parabola, random_oracle(), tmp_path)
    notes = tmp_path / "untitled_project" / "notes.txt"
    notes.write_text("mine")
    tuner = searched(parabola, random_oracle(2), tmp_path, overwrite=True)
    assert notes.read_text() == "mine"
    assert len(values(tuner)) == 2


def test_b19_every_execution_is_kept(tmp_path: Path) -> None:
    searched(lambda trial: [1.0, 2.0, 6.0], random_oracle(1), tmp_path)
    again = Plain(parabola, random_oracle(1), directory=tmp_path)
    (trial,) = again.oracle.get_best_trials()
    assert trial.score == 3.0
    assert [e.metrics["loss"] for e in trial.executions] == [1.0, 2.0, 6.0]
    again.oracle.close()
