"""Private names of KerasTuner's `Oracle` that users' own oracles rely on, AutoKeras' among them."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from krigetuner.search.randomness import generator

if TYPE_CHECKING:
    from krigetuner.tuners.search_space import SearchSpace
    from krigetuner.tuners.trial import Trial


class OracleInternals:
    """Which values have been tried, as hashes, and random values that have not.

    Attributes:
        seed: of the search.
    """

    seed: int
    _definitions: SearchSpace

    def __init__(self) -> None:
        self._tried_so_far: set[str] = set()
        self._id_to_hash: dict[str, str] = {}
        self._seed_state = self.seed
        self._max_collisions = 20

    def _compute_values_hash(self, values: Mapping[str, Any]) -> str:
        """The identity of a set of values: 32 hexadecimal digits."""
        text = "".join(f"{name}={values[name]}" for name in sorted(values))
        return hashlib.sha256(text.encode("utf-8")).hexdigest()[:32]

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
