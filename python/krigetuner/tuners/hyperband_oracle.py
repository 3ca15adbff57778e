"""The oracle of Hyperband: what its algorithm suggests, with the values that tell a trial how long to train."""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping
from typing import Any

from krigetuner.search.hyperband import Bracket, Hyperband
from krigetuner.search.schedule import Schedule
from krigetuner.space.recorder import HyperParameters
from krigetuner.trial import budget
from krigetuner.trial.history import Origin
from krigetuner.trial.trial import TrialStatus
from krigetuner.tuners import options
from krigetuner.tuners.builtin_oracles import AlgorithmOracle
from krigetuner.tuners.oracle_study import DERIVED

OPTIONS = ("max_epochs", "factor", "hyperband_iterations")


class HyperbandOracle(AlgorithmOracle):
    """Brackets of successive halving: many short trainings, the best of which go on. See `Oracle` for the rest.

    One iteration runs `schedule.trials` trials: with the defaults 254, of 2672 epochs together. The values of each
    carry "tuner/epochs", the epoch to train to; "tuner/initial_epoch", the one to begin with; "tuner/bracket" and
    "tuner/round"; and, where it goes on with the training of another trial, that one's id as "tuner/trial_id".

    Args:
        max_epochs: epochs of the longest training.
        factor: the share of a rung that goes on is one in so many, and trains so many times as long; at least 2.
        hyperband_iterations: how often all brackets run; None for no end.
        max_trials: a limit beside the schedule; None for none.

    Attributes:
        schedule: the sizes and epochs of all rungs.
        min_epochs: of the shortest training, before rounding: 1.
    """

    algorithm_name = "hyperband"
    _derived = (*DERIVED, *OPTIONS, "min_epochs", "brackets", "current_bracket", "current_iteration")
    min_epochs = 1

    def __init__(
        self,
        objective: Any = None,
        max_epochs: int = 100,
        factor: int = 3,
        hyperband_iterations: int | None = 1,
        seed: int | None = None,
        hyperparameters: HyperParameters | None = None,
        allow_new_entries: bool = True,
        tune_new_entries: bool = True,
        max_retries_per_trial: int = 0,
        max_consecutive_failed_trials: int | None = 3,
        *,
        max_trials: int | None = None,
        **kwargs: Any,
    ) -> None:
        advice = "it is the number of epochs of the longest training"
        self.max_epochs: int = options.whole_number("max_epochs", max_epochs, 1, advice, False) or 1
        self.factor = _factor(factor)
        self.hyperband_iterations = _iterations(hyperband_iterations)
        self._brackets: list[dict[str, Any]] = []
        self._current_bracket, self._current_iteration = self.schedule.brackets - 1, 0
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

    @property
    def schedule(self) -> Schedule:
        """Sizes and epochs of the rungs, for the present options."""
        return Schedule(self.max_epochs, self.factor, self.hyperband_iterations)

    # --- what to run

    def _make_algorithm(self) -> Hyperband:
        return Hyperband(self.seed, self.schedule)

    def _algorithm_key(self) -> Any:
        return self.seed, self.max_epochs, self.factor, self.hyperband_iterations

    def _search(self) -> Hyperband:
        algorithm = self._present_algorithm()
        if not isinstance(algorithm, Hyperband):
            raise TypeError(f"_make_algorithm: expected a Hyperband algorithm, got {algorithm!r}; return one")
        return algorithm

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """Asks for the values of a new trial, and adds those that tell it how long to train."""
        brackets = self._search().brackets(self._ledger.history(self._definitions.space()))
        answer = super().populate_space(trial_id)
        origin = self._origin if answer["status"] == TrialStatus.RUNNING else None
        if origin is not None:
            answer["values"].update(self._control(origin))
        self._note_brackets(brackets, origin, trial_id)
        return answer

    def _is_random(self, origin: Origin) -> bool:
        return not origin.rung

    def _enqueued(self, values: Mapping[str, Any]) -> tuple[dict[str, Any], Origin]:
        """Values that the user asked for take the next free place of a first round, and may be promoted like others."""
        full, _ = super()._enqueued(values)
        place = self._search().place(self._ledger.history(self._definitions.space()))
        origin = Origin("queue", place.bracket, place.rung, None, place.budget)
        return {**full, **self._control(origin)}, origin

    def _control(self, origin: Origin) -> dict[str, Any]:
        """KerasTuner's values for a trial that stands there."""
        values: dict[str, Any] = {budget.EPOCHS: origin.budget, budget.INITIAL_EPOCH: 0}
        if origin.bracket is not None and origin.rung is not None:
            s = self.schedule.halvings(origin.bracket)
            values |= {budget.BRACKET: s, budget.ROUND: origin.rung}
            if origin.rung:
                values[budget.INITIAL_EPOCH] = self.schedule.epochs(s, origin.rung - 1)
        if origin.parent is not None:
            values[budget.TRIAL_ID] = origin.parent
        return values

    def _compute_values_hash(self, values: Mapping[str, Any]) -> str:
        """As KerasTuner: a promoted trial is another one, where it stands makes no difference."""
        return super()._compute_values_hash(
            {k: v for k, v in values.items() if k not in budget.CONTROL - {budget.TRIAL_ID}}
        )

    def _needed_trials(self) -> set[str]:
        return self._search().continued(self._ledger.history(self._definitions.space()))

    def _planned_trials(self) -> int | None:
        if math.isinf(self.hyperband_iterations):
            return self.max_trials
        planned = self.schedule.trials * int(self.hyperband_iterations)
        return planned if self.max_trials is None else min(planned, self.max_trials)

    # --- the state

    def _options(self) -> dict[str, Any]:
        return {**super()._options(), **{name: getattr(self, name) for name in OPTIONS}}

    def get_state(self) -> dict[str, Any]:
        """The state in KerasTuner's layout; the brackets are those that are not complete."""
        self._note_brackets(self._search().brackets(self._ledger.history(self._definitions.space())))
        return {
            **super().get_state(),
            **{name: getattr(self, name) for name in (*OPTIONS, "min_epochs")},
            "brackets": self._brackets,
            "current_bracket": self._current_bracket,
            "current_iteration": self._current_iteration,
        }

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Takes the options over where they are in the state; the brackets follow from the record of the trials."""
        super().set_state(state)
        for name in OPTIONS:
            setattr(self, name, state.get(name, getattr(self, name)))

    def _note_brackets(self, brackets: list[Bracket], origin: Origin | None = None, trial_id: str = "") -> None:
        """Keeps the brackets that are not complete, with one that is about to begin, in KerasTuner's layout."""
        rounds = {
            b.index: [[{"past_id": o.origin.parent, "id": o.trial_id} for o in rung] for rung in b.rungs]
            for b in brackets
            if not b.complete
        }
        last = max((b.index for b in brackets), default=0)
        if origin is not None and origin.bracket is not None and origin.rung is not None:
            index, last = origin.bracket, max(last, origin.bracket)
            rungs = rounds.setdefault(index, [[] for _ in range(self.schedule.halvings(index) + 1)])
            rungs[origin.rung].append({"past_id": origin.parent, "id": trial_id})
        self._brackets = [{"bracket_num": self.schedule.halvings(i), "rounds": rounds[i]} for i in sorted(rounds)]
        self._current_bracket = self.schedule.halvings(last)
        self._current_iteration = last // self.schedule.brackets

    def _get_num_brackets(self) -> int:
        return self.schedule.brackets

    def _get_num_rounds(self, bracket_num: int) -> int:
        return bracket_num + 1

    def _get_size(self, bracket_num: int, round_num: int) -> int:
        return self.schedule.size(bracket_num, round_num)

    def _get_epochs(self, bracket_num: int, round_num: int) -> int:
        return self.schedule.epochs(bracket_num, round_num)


def _factor(factor: Any) -> float:
    """`factor` as a number of at least 2; a whole one stays whole.

    Raises:
        TypeError: it is no number.
        ValueError: it is less than 2, or not finite.
    """
    message = f"factor needs to be a number of at least 2, got {factor!r}; 3 keeps one trial in three"
    if isinstance(factor, bool) or not isinstance(factor, numbers.Real):
        raise TypeError(message)
    number = float(factor)
    if not 2 <= number < math.inf:
        raise ValueError(message)
    return int(number) if number.is_integer() else number


def _iterations(iterations: Any) -> float:
    """`hyperband_iterations` as a whole number, or infinity for None and 0, as in KerasTuner."""
    if not iterations or iterations == math.inf:
        return math.inf
    return options.whole_number("hyperband_iterations", iterations, 1, "None goes on without end", False) or 1
