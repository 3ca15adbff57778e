"""Private names of KerasTuner's `Oracle` that users' own oracles rely on, AutoKeras' among them; and its old names."""

from __future__ import annotations

import copy
import hashlib
import math
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from krigetuner.run.messages import Execution
from krigetuner.search.randomness import generator
from krigetuner.space.asks import BUILD
from krigetuner.store.artifacts import trial_directory
from krigetuner.trial.budget import CONTROL, TRIAL_ID
from krigetuner.trial.history import Origin
from krigetuner.trial.objective import Objective
from krigetuner.trial.trial import TrialStatus
from krigetuner.tuners.project import anchored, project_path
from krigetuner.tuners.travelling_oracle import packed

if TYPE_CHECKING:
    from krigetuner.space.recorder import HyperParameters
    from krigetuner.tuners.search_space import SearchSpace
    from krigetuner.tuners.trial import Trial


class OracleInternals:
    """Which values have been tried, as hashes, and random values that have not.

    Attributes:
        seed: of the search.
        trials: every Trial by its id; ongoing_trials: those that run, by tuner id.
        start_order, end_order: ids as they began and ended; objective: of the search.
        directory, project_name: where the project lies; None before it has a place.
    """

    seed: int
    trials: dict[str, Trial]
    ongoing_trials: dict[str, Trial]
    start_order: list[str]
    end_order: list[str]
    objective: Objective
    directory: str | Path | None
    project_name: str | None
    _begun_in: str | None
    _definitions: SearchSpace
    _opened: Any
    _ledger: Any

    def __init__(self) -> None:
        self._tried_so_far: set[str] = set()
        self._id_to_hash: dict[str, str] = {}
        self._seed_state = self.seed
        self._max_collisions = 20

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        """A copy of one that has not begun; one that conducts a search is one, also for callbacks that hold it."""
        if self._opened is not None:
            return self
        twin = type(self).__new__(type(self))
        memo[id(self)] = twin
        kept = {name: value for name, value in vars(self).items() if name != "_lock"}
        vars(twin).update(copy.deepcopy(kept, memo))
        return twin

    def __reduce_ex__(self, protocol: Any) -> Any:
        """One that conducts a search is, in another process, the oracle of a trial that runs there."""
        return super().__reduce_ex__(protocol) if self._opened is None else packed(self)

    @property
    def _project_dir(self) -> str:
        """The project's directory, made when it does not exist."""
        path = anchored(project_path(self.directory, self.project_name), self._begun_in)
        path.mkdir(parents=True, exist_ok=True)
        return str(path)

    def _get_trial_dir(self, trial_id: str) -> str:
        """The directory of a trial's files, made when it does not exist."""
        return str(trial_directory(self._project_dir, trial_id, create=True))

    def _compute_values_hash(self, values: Mapping[str, Any]) -> str:
        """The identity of a set of values: 32 hexadecimal digits."""
        text = "".join(f"{name}={values[name]}" for name in sorted(values))
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]

    def _no_values(self) -> HyperParameters:
        """The search space without values: of a trial that none is handed out for."""
        space = self._definitions.recorder.copy()
        space.values = {}
        return space

    def _duplicate(self, values: Mapping[str, Any]) -> bool:
        """Whether a trial has these values."""
        return self._compute_values_hash(values) in self._tried_so_far

    def _remember(self, trial_id: str, values: Mapping[str, Any]) -> None:
        """Notes a trial's values, in place of those that it had before."""
        new, old = self._compute_values_hash(values), self._id_to_hash.get(trial_id)
        if new != old:
            self._id_to_hash[trial_id] = new
            if old is not None:
                self._tried_so_far.discard(old)
            self._tried_so_far.add(new)

    def _record_values(self, trial: Trial) -> None:
        """Notes a trial's values as tried."""
        self._remember(trial.trial_id, trial.hyperparameters.values)

    def _unasked(self, trial: Trial, values: Mapping[str, Any]) -> tuple[str, ...] | None:
        """The names in a trial's values that its code never asked for; None where that is not known.

        A trial that goes on with another one's training has that one's model: what that one asked for counts, too. Of
        code that did not call `build` nothing is concluded after a first attempt, whose model it may have found; nor of
        a name that no trial has asked for, whose value may reach the training in another way.
        """
        if trial.asked is None:
            return None
        records, parent = self._ledger.state.trials, self._ledger.state.numbers.get(values.get(TRIAL_ID))
        earlier = values if parent is None else records[parent].unasked
        if earlier is None:
            return None
        names = tuple(n for n in values if n not in trial.asked and n not in CONTROL and n in earlier)
        if BUILD in trial.asked:
            return names
        if trial.attempt:
            return None
        others = records.values()
        asked = (
            any(r.unasked is not None and n in r.values and n not in r.unasked for r in reversed(others)) for n in names
        )
        return names if all(asked) else None

    def _adopt(self, trial: Trial, tuner_id: str) -> None:
        """Records a trial that an overridden `create_trial` made by itself as begun by a tuner."""
        state = self._ledger.state
        if trial.trial_id not in state.numbers:
            values = dict(trial.hyperparameters.values)
            self._ledger.asked(values, Origin("custom"), worker=tuner_id, trial_id=trial.trial_id)
            self._remember(trial.trial_id, values)
        number = trial.number = state.numbers[trial.trial_id]
        record = state.trials[number]
        if number in state.waiting or record.attempt < 0:
            self._ledger.started(number, tuner_id)
        trial.begin(record.attempt)
        self.trials[trial.trial_id] = self.ongoing_trials[tuner_id] = trial
        if trial.trial_id not in self.start_order:
            self.start_order.append(trial.trial_id)

    def _take_in(self) -> None:
        """Records the completed trials that somebody has put into `trials` by hand."""
        state = self._ledger.state
        if len(self.trials) == len(state.trials):
            return
        for trial in [t for t in self.trials.values() if t.trial_id not in state.numbers]:
            if trial.status != TrialStatus.COMPLETED or trial.score is None or not math.isfinite(trial.score):
                continue
            values, metrics = dict(trial.hyperparameters.values), {self.objective.name: float(trial.score)}
            record = self._ledger.asked(values, Origin("given"), trial_id=trial.trial_id)
            step = int(trial.best_step or 0)
            self._ledger.finished(
                record.number, [Execution(metrics, step)], metrics, step, metrics[self.objective.name]
            )
            trial.number = record.number
            self._remember(trial.trial_id, values)
            self.start_order += [trial.trial_id] * (trial.trial_id not in self.start_order)
            self.end_order += [trial.trial_id] * (trial.trial_id not in self.end_order)

    def _random_values(self) -> dict[str, Any] | None:
        """Random values that no trial has; None after more than `_max_collisions` draws in vain.

        Each draw is keyed by the seed and `_seed_state`, which it advances.
        """
        space = self._definitions.space()
        for _ in range(self._max_collisions + 1):
            uniforms = generator(self.seed, self._seed_state, "random values").random((1, space.dimensions))
            self._seed_state += 1
            values = space.decode(space.sample(uniforms)[0])
            if not self._duplicate(values):
                return values
        return None

    def _overridden(self, old: str, new: str) -> Any:
        """The method to call of two names for the same: the one that is defined nearest to the object's class."""
        for kind in type(self).__mro__:
            if new in vars(kind):
                break
            if old in vars(kind):
                _deprecated(old, new)
                return getattr(self, old)
        return getattr(self, new)

    def _redefines(self, name: str) -> bool:
        """Whether the user's class, or the object, defines a method itself."""
        own = (kind for kind in type(self).__mro__ if not kind.__module__.startswith("krigetuner."))
        return name in vars(self) or any(name in vars(kind) for kind in own)

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """Decides the values of a new trial; every oracle defines it.

        Args:
            trial_id: of the new trial.

        Returns:
            `{"status": "RUNNING", "values": {...}}`, or the status "IDLE" (nothing until a running trial ends) or
            "STOPPED" (the search is over).
        """
        if type(self)._populate_space is not OracleInternals._populate_space:
            _deprecated("_populate_space", "populate_space")
            return self._populate_space(trial_id)
        raise NotImplementedError(f"{type(self).__name__}: expected a method populate_space(trial_id); define it")

    def _populate_space(self, trial_id: str) -> dict[str, Any]:
        _deprecated("_populate_space", "populate_space")
        return self.populate_space(trial_id)

    def score_trial(self, trial: Trial) -> None:
        """Sets `trial.score` and `trial.best_step` of a completed trial from its metrics; may be overridden."""
        raise NotImplementedError

    def _score_trial(self, trial: Trial) -> None:
        _deprecated("_score_trial", "score_trial")
        self.score_trial(trial)


def _deprecated(old: str, new: str) -> None:
    warnings.warn(f"The `{old}` method is deprecated, please use `{new}`.", DeprecationWarning, stacklevel=3)
