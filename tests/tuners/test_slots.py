"""Several trials at a time: limits, retries, order, asking ahead, and what a resume finds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.tuners.courier import Courier
from tests.tuners.parabola import Parabola, space

from krigetuner.run import policy
from krigetuner.tuners.base_tuner import BaseTuner
from krigetuner.tuners.builtin_oracles import BayesianOptimizationOracle, RandomSearchOracle
from krigetuner.tuners.classes import BayesianOptimization
from krigetuner.tuners.hyperband_oracle import HyperbandOracle
from krigetuner.tuners.oracle import Oracle
from krigetuner.tuners.trial import Trial


class Bowl(BaseTuner):
    def run_trial(self, trial: Trial, *args: Any, **kwargs: Any) -> Any:
        return (trial.hyperparameters.get("x") - 0.3) ** 2


def scattered(numbers: Sequence[int]) -> int:
    """Ends trials out of their order, always the same way."""
    return numbers[sum(numbers) * 7 % len(numbers)]


def bowl(tmp_path: Path, **kwargs: Any) -> Bowl:
    given = {"max_trials": 20, "seed": 5, "hyperparameters": space(), **kwargs}
    return Bowl(given.pop("oracle", BayesianOptimizationOracle)(**given), directory=tmp_path)


def events(tuner: BaseTuner) -> list[Any]:
    return list(tuner.oracle._ledger.changes())


def test_all_slots_are_used_and_no_trial_too_many_is_begun(tmp_path: Path, opened: list[BaseTuner]) -> None:
    opened.append(bowl(tmp_path, max_trials=10))
    courier = Courier(4, scattered)
    opened[0].search(verbose=0, executor=courier)
    assert courier.most == 4
    assert sorted(courier.submitted) == [(n, 0) for n in range(10)]
    assert opened[0].oracle._ledger.state.closed == "max_trials: all 10 trials have been run"
    assert sum(e.kind == "StudyClosed" for _, e in events(opened[0])) == 1
    assert courier.closed


def test_a_trial_that_dies_is_run_again_before_anything_new(tmp_path: Path, opened: list[BaseTuner]) -> None:
    opened.append(bowl(tmp_path, max_trials=6, max_retries_per_trial=1))
    courier = Courier(3, lost=[1, 4])
    opened[0].search(verbose=0, executor=courier)
    assert courier.submitted == [(0, 0), (1, 0), (2, 0), (3, 0), (1, 1), (4, 0), (5, 0), (4, 1)]
    assert [t.status for t in opened[0].oracle.trials.values()] == ["COMPLETED"] * 6
    assert {t.trial_id: t.attempt for t in opened[0].oracle.trials.values() if t.attempt} == {"1": 1, "4": 1}


def test_too_many_failures_end_the_search_with_the_others_kept_for_later(
    tmp_path: Path, opened: list[BaseTuner]
) -> None:
    opened.append(bowl(tmp_path, max_trials=9, max_consecutive_failed_trials=2))
    with pytest.raises(RuntimeError, match="Number of consecutive failures exceeded the limit of 2"):
        opened[0].search(verbose=0, executor=Courier(4, lost=[0, 1]))
    statuses = [t.status for t in opened[0].oracle.trials.values()]
    assert statuses == ["FAILED", "FAILED", *["INTERRUPTED"] * (len(statuses) - 2)]
    courier = Courier(4)
    opened[0].search(verbose=0, executor=courier)
    assert courier.submitted[:2] == [(2, 1), (3, 1)]


def test_a_target_lets_what_runs_end(tmp_path: Path, opened: list[BaseTuner]) -> None:
    opened.append(bowl(tmp_path, max_trials=50, target=0.5))
    opened[0].search(verbose=0, executor=Courier(3))
    assert {t.status for t in opened[0].oracle.trials.values()} == {"COMPLETED"}
    assert "target" in (opened[0].oracle.stop_reason or "")
    assert len(opened[0].oracle.trials) < 50


def test_an_interrupted_search_begins_with_the_earliest_trial(tmp_path: Path, opened: list[BaseTuner]) -> None:
    class Cut(Courier):
        def collect(self, deliver: Any, timeout: float | None = None) -> int:
            if len(self.submitted) == 6 and not self.closed:
                raise KeyboardInterrupt
            return super().collect(deliver, timeout)

    opened.append(bowl(tmp_path, max_trials=10))
    cut = Cut(4, max)
    with pytest.raises(KeyboardInterrupt):
        opened[0].search(verbose=0, executor=cut)
    opened[0].oracle.close()
    opened.append(bowl(tmp_path, max_trials=10))
    courier = Courier(4)
    opened[1].search(verbose=0, executor=courier)
    again = [number for number, attempt in courier.submitted if attempt == 1]
    assert courier.submitted[: len(again)] == [(n, 1) for n in sorted(again)]
    assert len(again) == 4
    assert [t.status for t in opened[1].oracle.trials.values()] == ["COMPLETED"] * 10


def test_hyperband_promotes_with_several_at_a_time(tmp_path: Path, opened: list[BaseTuner]) -> None:
    opened.append(bowl(tmp_path, oracle=HyperbandOracle, max_trials=None, max_epochs=4, factor=2))
    courier = Courier(4, scattered)
    opened[0].search(verbose=0, executor=courier)
    oracle = opened[0].oracle
    assert isinstance(oracle, HyperbandOracle)
    assert len(oracle.trials) == oracle.schedule.trials
    assert {t.status for t in oracle.trials.values()} == {"COMPLETED"}


# --- asking ahead


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Suggestions are always worked out ahead."""
    monkeypatch.setattr(policy.Pace, "worth_asking_ahead", lambda self: True)


@pytest.mark.usefixtures("hasty")
def test_what_was_worked_out_ahead_is_what_the_algorithm_says_to_what_it_saw(
    tmp_path: Path, opened: list[BaseTuner]
) -> None:
    opened.append(bowl(tmp_path, max_trials=20))
    opened[0].search(verbose=0, executor=Courier(3, scattered))
    told = events(opened[0])
    ahead = 0
    for position, event in told:
        if event.kind == "TrialAsked":
            ahead += event.seen < position - 1
            answer = replayed(told, event.seen).populate_space(event.trial_id)
            assert answer["values"] == dict(event.values), event.number
    assert ahead >= 10


def replayed(told: list[Any], seen: int) -> BayesianOptimizationOracle:
    """An oracle that knows what had happened up to a position."""
    oracle = BayesianOptimizationOracle(max_trials=20, seed=5, hyperparameters=space())
    fresh = oracle._ledger
    state = fresh.state
    for position, event in told:
        if state.position < position <= seen:
            state.apply(position, event)
    fresh._observed.forget()
    return oracle


@pytest.mark.usefixtures("hasty")
def test_what_was_worked_out_ahead_is_dropped_when_its_number_is_taken(tmp_path: Path, opened: list[BaseTuner]) -> None:
    class Enqueues(Bowl):
        def on_trial_end(self, trial: Trial) -> None:
            super().on_trial_end(trial)
            if trial.trial_id == "03":
                self.oracle.enqueue({"x": 0.125})
            if trial.trial_id == "05":
                self.oracle.add_observation({"x": 0.375}, 0.005625)

    oracle = BayesianOptimizationOracle(max_trials=12, seed=5, hyperparameters=space())
    opened.append(Enqueues(oracle, directory=tmp_path))
    opened[0].search(verbose=0, executor=Courier(2))
    told = events(opened[0])
    values = {e.number: e.values["x"] for _, e in told if e.kind == "TrialAsked"}
    assert len(set(values.values())) == 13
    for _, event in told:
        if event.kind == "TrialAsked" and event.origin.algorithm == "bayesian":
            assert len([e for p, e in told if e.kind == "TrialAsked" and p <= event.seen]) == event.number


@pytest.mark.usefixtures("hasty")
def test_who_is_not_asked_ahead(tmp_path: Path, opened: list[BaseTuner]) -> None:
    class Own(BayesianOptimizationOracle):
        def populate_space(self, trial_id: str) -> dict[str, Any]:
            return super().populate_space(trial_id)

    opened.append(bowl(tmp_path / "own", oracle=Own, max_trials=8))
    opened.append(bowl(tmp_path / "random", oracle=RandomSearchOracle, max_trials=8))
    opened.append(bowl(tmp_path / "hyperband", oracle=HyperbandOracle, max_trials=8, max_epochs=4))
    opened.append(bowl(tmp_path / "one", max_trials=8))
    for tuner in opened:
        tuner.search(verbose=0, executor=Courier(1 if tuner is opened[-1] else 3))
        assert all(e.seen == p - 1 for p, e in events(tuner) if e.kind == "TrialAsked")
    assert not Oracle("loss")._look_ahead()


def test_pace() -> None:
    pace = policy.Pace()
    pace.asked(0.05)
    assert not pace.worth_asking_ahead()  # nothing has run yet
    pace.ran(60.0)
    assert not pace.worth_asking_ahead()
    for _ in range(30):
        pace.ran(1.0)
    assert pace.worth_asking_ahead()


def test_ready_tuners_take_the_options(tmp_path: Path, opened: list[BaseTuner]) -> None:
    class Quick(BayesianOptimization):
        run_trial = Parabola.run_trial

    opened.append(Quick(max_trials=6, seed=2, directory=tmp_path, hyperparameters=space()))
    opened[0].search(verbose=0, executor=Courier(2))
    assert len(opened[0].oracle.end_order) == 6
