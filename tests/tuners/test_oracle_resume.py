"""An oracle in a project directory: what is found again, what the code may change, what is refused."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest
from tests.tuners.oracle_driver import MIN, drive, fail, finish, mixed, opened, points_18, score

from krigetuner.errors import KrigeTunerWarning, StoreError
from krigetuner.oracles import BayesianOptimizationOracle, GridSearchOracle, RandomSearchOracle
from krigetuner.space.recorder import HyperParameters
from krigetuner.tuners.oracle import Oracle

MAKERS: dict[str, Any] = {
    "random": RandomSearchOracle,
    "grid": GridSearchOracle,
    "bayesian": BayesianOptimizationOracle,
}


@pytest.mark.parametrize("name", list(MAKERS))
def test_a_stopped_search_goes_on_as_if_it_had_not_been_stopped(name: str, tmp_path: Path) -> None:
    undisturbed = drive(MAKERS[name](MIN, max_trials=12, hyperparameters=mixed(), seed=4))
    seen: list[dict[str, Any]] = []
    for trials in (3, 1, 0, 4, None):
        oracle = opened(tmp_path, MAKERS[name])
        seen += drive(oracle, trials)
        oracle.close()
    assert seen == undisturbed
    assert len(undisturbed) == 12


@pytest.mark.parametrize("name", list(MAKERS))
def test_discovered_hyperparameters_do_not_disturb_a_resume(name: str, tmp_path: Path) -> None:
    def run(oracle: Oracle, trials: int | None) -> list[dict[str, Any]]:
        seen = []
        while trials is None or len(seen) < trials:
            trial = oracle.create_trial("t")
            if trial.status == "STOPPED":
                break
            hp = trial.hyperparameters
            if hp.get("kind") == "b":
                hp.Int("depth", 1, 4)
            hp.Choice("batch_size", [16, 32, 64])
            seen.append(dict(hp.values))
            finish(oracle, trial, score(hp.values))
        return seen

    undisturbed = run(MAKERS[name](MIN, max_trials=12, hyperparameters=mixed(), seed=4), None)
    seen = []
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for trials in (2, 3, None):
            seen += run(opened(tmp_path, MAKERS[name]), trials)
    assert seen == undisturbed


def test_names_and_values_that_are_no_unicode_are_searched_and_found_again(tmp_path: Path) -> None:
    hp = HyperParameters()
    hp.Choice("file\udc80\0", ["a\udcff", "b\0"])  # as os.listdir has them
    for trials in (1, 2):
        oracle = RandomSearchOracle(MIN, max_trials=2, hyperparameters=hp.copy(), seed=4)
        oracle._set_project_dir(tmp_path, "p")
        drive(oracle, 1)
        assert len(oracle.end_order) == trials
        oracle.close()
    assert {t.hyperparameters.values["file\udc80\0"] for t in oracle.trials.values()} == {"a\udcff", "b\0"}


def test_everything_is_found_again(tmp_path: Path) -> None:
    oracle = opened(tmp_path, max_retries_per_trial=1)
    oracle.add_observation({"units": 16}, {"loss": 0.5, "auc": 0.25})
    finish(oracle, oracle.create_trial("w0"), {"loss": 2.0, "auc": 0.75})
    fail(oracle, oracle.create_trial("w0"), "FAILED", "broken")
    fail(oracle, oracle.create_trial("w0"), "INVALID", "once")
    running = oracle.create_trial("w0")
    oracle.create_trial("w1")
    oracle.enqueue({"units": 64})
    again = opened(tmp_path, max_retries_per_trial=1)
    assert list(again.trials) == list(oracle.trials)
    assert again.end_order == oracle.end_order == ["00", "01", "02"]
    assert again.remaining_trials() == oracle.remaining_trials() == 12 - 4
    assert again.ongoing_trials == {}
    for trial_id in ("00", "01", "02"):
        one, two = oracle.trials[trial_id], again.trials[trial_id]
        assert one.get_state() == two.get_state()
    assert again.get_best_trials(5) == [again.trials["00"], again.trials["01"]]
    first, second = again.create_trial("w0"), again.create_trial("w1")
    assert {first.trial_id, second.trial_id} == {"03", "04"}
    assert {first.trial_id: first.attempt, second.trial_id: second.attempt} == {"03": 2, "04": 1}
    assert again.trials["03"].hyperparameters.values == running.hyperparameters.values
    assert again.create_trial("w2").hyperparameters.values["units"] == 64


def test_a_random_seed_is_recorded_and_found_again(tmp_path: Path) -> None:
    oracle = opened(tmp_path, seed=None)
    assert opened(tmp_path, seed=None).seed == oracle.seed
    with pytest.warns(KrigeTunerWarning, match=f"seed: {oracle.seed} -> 99"):
        assert opened(tmp_path, seed=99).seed == 99
    assert opened(tmp_path, seed=None).seed == 99


def test_options_come_from_the_code_and_differences_are_reported(tmp_path: Path) -> None:
    drive(opened(tmp_path, BayesianOptimizationOracle, beta=2.6), 1)
    with pytest.warns(KrigeTunerWarning, match="beta: 2.6 -> 9.0"):
        oracle = opened(tmp_path, BayesianOptimizationOracle, beta=9)
    assert oracle.beta == 9.0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert opened(tmp_path, BayesianOptimizationOracle, beta=9, max_trials=30).remaining_trials() == 29


def test_another_algorithm_may_go_on(tmp_path: Path) -> None:
    drive(opened(tmp_path), 3)
    with pytest.warns(KrigeTunerWarning, match="algorithm: 'random' -> 'bayesian'"):
        oracle = opened(tmp_path, BayesianOptimizationOracle, num_initial_points=3)
    drive(oracle, 1)
    assert "start" not in oracle._ledger.state.trials[3].origin.note


def test_another_algorithm_is_named_and_its_options_are_not(tmp_path: Path) -> None:
    drive(opened(tmp_path, BayesianOptimizationOracle), 2)
    with pytest.warns(KrigeTunerWarning) as caught:
        opened(tmp_path, GridSearchOracle)
    (text,) = [str(w.message) for w in caught]
    assert text.endswith("changed since it was recorded: algorithm: 'bayesian' -> 'grid'.")


def test_durability_reaches_the_database(tmp_path: Path) -> None:
    for given, level in ((None, 1), ("normal", 1), ("full", 2)):
        oracle = opened(tmp_path / str(given), durability=given)
        for _ in range(2):
            with oracle._ledger._store._connection.transaction() as cursor:
                assert cursor.execute("PRAGMA synchronous").fetchone()[0] == level
            oracle.reload()
        oracle.close()
    with pytest.raises(ValueError, match="durability: expected 'normal' or 'full', got 'maximal'"):
        opened(tmp_path, durability="maximal")


def test_overwrite_starts_over_and_leaves_foreign_files(tmp_path: Path) -> None:
    drive(opened(tmp_path), 3)
    (tmp_path / "project" / "mine.txt").write_text("keep")
    oracle = opened(tmp_path, objective="val_accuracy", overwrite=True)
    assert oracle.trials == {}
    assert (tmp_path / "project" / "mine.txt").read_text() == "keep"


def test_what_was_recorded_in_memory_moves_into_the_project(tmp_path: Path) -> None:
    oracle = RandomSearchOracle(MIN, 12, hyperparameters=mixed(), seed=4)
    oracle.add_observation({"units": 16}, 0.5)
    drive(oracle, 2)
    running = oracle.create_trial("t")
    oracle._set_project_dir(tmp_path, "project")
    finish(oracle, running, 3.0)
    drive(oracle, 1)
    oracle.close()
    assert {t.trial_id: t.score for t in opened(tmp_path).trials.values()} == {
        t.trial_id: t.score for t in oracle.trials.values()
    }


def test_a_script_that_is_run_again_repeats_neither_observations_nor_the_queue(tmp_path: Path) -> None:
    for _ in range(3):
        oracle = RandomSearchOracle(MIN, 12, hyperparameters=mixed(), seed=4)
        oracle.add_observation({"units": 16}, 0.5)
        oracle.enqueue({"units": 24})
        oracle._set_project_dir(tmp_path, "project")
        oracle.add_observation({"units": 32}, 0.25)
        oracle.enqueue({"units": 40})
        drive(oracle, 3)
    records = list(oracle._ledger.state.trials.values())
    assert [r.values["units"] for r in records if r.origin.algorithm == "given"] == [16, 32]
    assert [r.values["units"] for r in records if r.origin.algorithm == "queue"] == [24, 40]
    assert len(records) == 2 + 9


def test_what_was_given_is_known_again_when_the_space_has_grown(tmp_path: Path) -> None:
    for _ in range(2):
        oracle = opened(tmp_path, max_trials=None)
        oracle.add_observation({"units": 16}, 0.5)
        oracle.enqueue({"units": 24})
        trial = oracle.create_trial("t")
        trial.hyperparameters.Choice("batch_size", [32, 64])
        finish(oracle, trial, 1.0)
    assert [r.origin.algorithm for r in oracle._ledger.state.trials.values()] == ["given", "queue", "random"]


def test_why_the_search_ended_is_recorded(tmp_path: Path) -> None:
    oracle = opened(tmp_path, max_trials=2)
    drive(oracle)
    assert oracle._ledger.state.closed == "max_trials: all 2 trials have been run"
    again = opened(tmp_path, max_trials=3)
    drive(again, 1)
    assert again._ledger.state.closed is None


def test_trials_run_in_memory_are_not_mixed_with_recorded_ones(tmp_path: Path) -> None:
    drive(opened(tmp_path), 1)
    oracle = RandomSearchOracle(MIN, 12, hyperparameters=mixed(), seed=4)
    drive(oracle, 1)
    with pytest.raises(ValueError, match="expected an oracle that has run no trials, got one with 1"):
        oracle._set_project_dir(tmp_path, "project")
    assert len(oracle.trials) == 1


def test_storage_memory_writes_nothing(tmp_path: Path) -> None:
    oracle = RandomSearchOracle(MIN, 3, hyperparameters=mixed(), storage="memory")
    oracle._set_project_dir(tmp_path, "project")
    drive(oracle)
    assert list(tmp_path.rglob("*.sqlite")) == []


def test_another_database_file(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'shared.sqlite'}"
    for name in ("one", "two"):
        oracle = RandomSearchOracle(MIN, 3, hyperparameters=mixed(), storage=url)
        oracle._set_project_dir(tmp_path, name)
        drive(oracle)
        oracle.close()
    oracle = RandomSearchOracle(MIN, 4, hyperparameters=mixed(), storage=url)
    oracle._set_project_dir(tmp_path, "one")
    assert len(oracle.trials) == 3


def test_reload_finds_the_trials_again(tmp_path: Path) -> None:
    oracle = opened(tmp_path)
    drive(oracle, 2)
    oracle.create_trial("t")
    oracle.reload()
    assert oracle.ongoing_trials == {}
    assert len(drive(oracle)) == 10
    in_memory = RandomSearchOracle(MIN, 3, hyperparameters=mixed())
    drive(in_memory)
    in_memory.reload()
    assert len(in_memory.trials) == 3


@pytest.mark.parametrize("when", ["before", "after"])
def test_reload_takes_what_trials_brought_up_for_nothing_that_code_defines_before_them(
    when: str, tmp_path: Path
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for trials in (3, 6, 9):
            oracle = opened(tmp_path, max_trials=trials, hyperparameters=None)
            for reloaded in (when == "before", when == "after"):
                if reloaded and trials < 9:
                    oracle.reload()
                while (trial := oracle.create_trial("t")).status == "RUNNING":
                    finish(oracle, trial, trial.hyperparameters.Float("x", 0.0, 1.0))
            assert len(oracle.trials) == trials, oracle.stop_reason
            assert [p.name for p in oracle.get_space().space] == ["x"]
            oracle.close()


class Counting(Oracle):
    """Keeps a count of its own."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.asked = 0

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        self.asked += 1
        return {"status": "RUNNING", "values": self._random_values()}

    def get_state(self) -> dict[str, Any]:
        return {**super().get_state(), "asked": self.asked}

    def set_state(self, state: Any) -> None:
        super().set_state(state)
        self.asked = state["asked"]


def test_the_state_of_a_users_own_oracle_is_found_again(tmp_path: Path) -> None:
    undisturbed = drive(Counting(objective=MIN, max_trials=8, hyperparameters=points_18(), seed=4))
    first = opened(tmp_path, Counting, hyperparameters=points_18(), max_trials=8)
    seen = drive(first, 3)
    again = opened(tmp_path, Counting, hyperparameters=points_18(), max_trials=8)
    assert again.asked == 3
    assert again._tried_so_far == first._tried_so_far
    assert seen + drive(again) == undisturbed
    assert set(again.get_state()) >= {"ongoing_trials", "hyperparameters", "seed", "tried_so_far", "asked"}


def test_a_directory_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    oracle = RandomSearchOracle(MIN, 3, hyperparameters=mixed())
    for directory, name in ((tmp_path / "file", "project"), (tmp_path, "file")):
        text = (
            r"expected a project directory that can be made, got '.*file is a file'; choose another directory= or pro"
        )
        with pytest.raises(StoreError, match=text):
            oracle._set_project_dir(directory, name)
    assert len(drive(oracle)) == 3


def test_a_directory_that_is_a_url() -> None:
    oracle = RandomSearchOracle(MIN, 3, hyperparameters=mixed())
    with pytest.raises(ValueError, match=r"directory: expected a path of this machine, got the URL 'gs://bucket/dir'"):
        oracle._set_project_dir("gs://bucket/dir", "project")
