"""The oracles that come with the package: each asks one algorithm."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any

from krigetuner.errors import BackendUnavailable
from krigetuner.search.bayesian import DEFAULT_ALPHA, BayesianSearch
from krigetuner.search.grid_search import GridSearch
from krigetuner.search.protocol import Algorithm, Answer, Done, Wait
from krigetuner.search.random_search import RandomSearch
from krigetuner.space.recorder import HyperParameters
from krigetuner.space.space import Space
from krigetuner.trial.history import History, Origin
from krigetuner.trial.trial import TrialStatus
from krigetuner.tuners import options
from krigetuner.tuners.oracle import Oracle
from krigetuner.tuners.synchronized import synchronized


@dataclass(frozen=True)
class Ahead:
    """An answer that was worked out before it was asked for.

    Attributes:
        space: that was searched.
        number: of the trial that it is for.
        seen: position of the last event that it knew of.
        answer: of the algorithm.
    """

    space: Space
    number: int
    seen: int
    answer: Answer


class AlgorithmOracle(Oracle):
    """An oracle whose trials come from an algorithm; subclasses define `_make_algorithm`."""

    _algorithm: tuple[Any, Algorithm] | None = None
    _ahead: Ahead | None = None
    _can_wait = False
    """Whether a suggestion loses little by knowing one result less."""

    def _make_algorithm(self) -> Algorithm:
        """The algorithm, for the present seed and options."""
        raise NotImplementedError

    def _algorithm_key(self) -> Any:
        """What the algorithm is made from: it is made again when this changes."""
        return self.seed

    def _present_algorithm(self) -> Algorithm:
        """The algorithm, made again when what it is made from has changed."""
        if self._algorithm is None or self._algorithm[0] != self._algorithm_key():
            self._algorithm = (self._algorithm_key(), self._make_algorithm())
        return self._algorithm[1]

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """Asks the algorithm for the values of a new trial; see `Oracle.populate_space`."""
        space, ahead = self._definitions.space(), self._ahead
        self._ahead = None
        if ahead is not None and ahead.space is space and ahead.number == len(self._ledger.state.trials):
            answer, self._seen = ahead.answer, ahead.seen
        else:
            answer = self._ask(space)
        if isinstance(answer, Wait):
            return {"status": TrialStatus.IDLE, "values": None, "message": answer.reason}
        if isinstance(answer, Done):
            return {"status": TrialStatus.STOPPED, "values": None, "message": answer.reason}
        self._origin, values = answer[0].origin, dict(answer[0].values)
        if self._redefines("_random_values") and self._is_random(self._origin):
            drawn = self._random_values()
            if drawn is None:
                return {"status": TrialStatus.STOPPED, "values": None, "message": "_random_values() has no values left"}
            values = self._definitions.active_values(drawn)
        return {"status": TrialStatus.RUNNING, "values": values}

    def _is_random(self, origin: Origin) -> bool:
        """Whether KerasTuner draws such a trial by `_random_values`, which users' subclasses define."""
        return False

    def _ask(self, space: Space) -> Answer:
        """The algorithm's answer, which is a trial while only observations are known of a space that trials reveal."""
        algorithm, history = self._present_algorithm(), self._ledger.history(space)
        answer = algorithm.ask(space, history, 1)
        if not (isinstance(answer, Done) and self._definitions.revealing):
            return answer
        ran = any(o.origin.algorithm != "given" for o in history)
        return answer if ran else algorithm.ask(space, History((), history.next_number), 1)

    @synchronized
    def _look_ahead(self) -> bool:
        """Asks for what will be tried next, if that is for the algorithm to say; nothing is recorded of it."""
        state = self._ledger.state
        own = any(map(self._redefines, ("populate_space", "_populate_space", "create_trial", "_random_values")))
        space, number = self._definitions.space(), len(state.trials)
        earlier = self._ledger.next_requeued(space) is not None or state.enqueued
        if own or not self._can_wait or earlier or self.remaining_trials() == 0:
            return False
        if self._ahead is not None and self._ahead.space is space and self._ahead.number == number:
            return False
        began = time.perf_counter()
        answer = self._ask(space)
        if not isinstance(answer, list):
            return False  # another result may change that
        origin = answer[0].origin
        note = {**origin.note, "seconds": time.perf_counter() - began}
        answer = [replace(answer[0], origin=replace(origin, note=note))]
        self._ahead = Ahead(space, number, state.position, answer)
        return True


class RandomSearchOracle(AlgorithmOracle):
    """Random values, no configuration twice while another is left. See `Oracle` for the arguments."""

    algorithm_name = "random"

    def __init__(
        self,
        objective: Any = None,
        max_trials: int | None = 10,
        seed: int | None = None,
        hyperparameters: HyperParameters | None = None,
        allow_new_entries: bool = True,
        tune_new_entries: bool = True,
        max_retries_per_trial: int = 0,
        max_consecutive_failed_trials: int | None = 3,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            objective=objective,
            max_trials=max_trials,
            seed=seed,
            hyperparameters=hyperparameters,
            allow_new_entries=allow_new_entries,
            tune_new_entries=tune_new_entries,
            max_retries_per_trial=max_retries_per_trial,
            max_consecutive_failed_trials=max_consecutive_failed_trials,
            **kwargs,
        )

    def _make_algorithm(self) -> Algorithm:
        return RandomSearch(self.seed)

    def _is_random(self, origin: Origin) -> bool:
        return True


class GridSearchOracle(AlgorithmOracle):
    """Every combination in KerasTuner's order, the defaults first. See `Oracle` for the arguments."""

    algorithm_name = "grid"

    def __init__(
        self,
        objective: Any = None,
        max_trials: int | None = None,
        seed: int | None = None,
        hyperparameters: HyperParameters | None = None,
        allow_new_entries: bool = True,
        tune_new_entries: bool = True,
        max_retries_per_trial: int = 0,
        max_consecutive_failed_trials: int | None = 3,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            objective=objective,
            max_trials=max_trials,
            seed=seed,
            hyperparameters=hyperparameters,
            allow_new_entries=allow_new_entries,
            tune_new_entries=tune_new_entries,
            max_retries_per_trial=max_retries_per_trial,
            max_consecutive_failed_trials=max_consecutive_failed_trials,
            **kwargs,
        )

    def _make_algorithm(self) -> Algorithm:
        return GridSearch(self._definitions.known_before)

    def _algorithm_key(self) -> Any:
        return self._definitions.known_before


class BayesianOptimizationOracle(AlgorithmOracle):
    """Gaussian-process search. See `Oracle` for the other arguments.

    Args:
        num_initial_points: trials before the model is used; None or 0 for the dimensions + 1, between 4 and 10, and at
            most 0.4 of `max_trials` where these are few.
        alpha: least variance of the noise in the standardised objective; at its default the noise is learned.
        beta: weight of the standard deviation in the confidence bound ("ucb").
        acquisition: "auto", "ucb", "ei", "logei", "pi" or "thompson".
        kappa: another name of `beta`.
        xi: improvement that "ei", "logei" and "pi" ask for, in units of the objective.
    """

    algorithm_name = "bayesian"
    _can_wait = True

    def __init__(
        self,
        objective: Any = None,
        max_trials: int | None = 10,
        num_initial_points: int | None = None,
        alpha: float = DEFAULT_ALPHA,
        beta: float = 2.6,
        seed: int | None = None,
        hyperparameters: HyperParameters | None = None,
        allow_new_entries: bool = True,
        tune_new_entries: bool = True,
        max_retries_per_trial: int = 0,
        max_consecutive_failed_trials: int | None = 3,
        *,
        acquisition: str = "auto",
        kappa: float | None = None,
        xi: float = 0.0,
        **kwargs: Any,
    ) -> None:
        self.num_initial_points = options.whole_number(
            "num_initial_points", num_initial_points, 0, "None or 0 takes a number that suits the dimensions"
        )
        advice = f"the default, {DEFAULT_ALPHA:g}, lets the noise be learned"
        self.alpha = options.real_number("alpha", alpha, 0.0, advice)
        self.beta = options.exploration(beta, kappa)
        self.acquisition = options.acquisition_name(acquisition)
        self.xi = options.real_number("xi", xi, 0.0, "0 asks for any improvement")
        super().__init__(
            objective=objective,
            max_trials=max_trials,
            seed=seed,
            hyperparameters=hyperparameters,
            allow_new_entries=allow_new_entries,
            tune_new_entries=tune_new_entries,
            max_retries_per_trial=max_retries_per_trial,
            max_consecutive_failed_trials=max_consecutive_failed_trials,
            **kwargs,
        )

    def _make_algorithm(self) -> Algorithm:
        return BayesianSearch(self.seed, max_trials=self.max_trials, **self._own_options())

    def _algorithm_key(self) -> Any:
        return self.seed, self.max_trials, tuple(self._own_options().values())

    def _own_options(self) -> dict[str, Any]:
        names = ("num_initial_points", "alpha", "acquisition", "beta", "xi")
        return {name: getattr(self, name) for name in names}

    def _is_random(self, origin: Origin) -> bool:
        return "start" in origin.note

    def _options(self) -> dict[str, Any]:
        return {**super()._options(), **self._own_options()}

    def get_state(self) -> dict[str, Any]:
        """The state in KerasTuner's layout."""
        own = {"num_initial_points": self.num_initial_points, "alpha": self.alpha, "beta": self.beta}
        return {**super().get_state(), **own}

    def _backend_name(self) -> str:
        from krigetuner.backend.registry import get_backend

        try:
            return get_backend().name
        except BackendUnavailable:
            return "unavailable"  # said aloud by the first suggestion that needs it
