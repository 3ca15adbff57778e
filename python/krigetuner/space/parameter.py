"""What every hyperparameter has: a name, a default, conditions, and a set of legal values.

Two views of the legal values. KerasTuner's: `values`, `prob_to_value`, `value_to_prob`, `random_sample`. And the one
that `Space` is built on: `count` values (None for a continuum) that `value_at` and `index_of` number from 0 in an order
that follows the values' own where they have one, and a coordinate in [0, 1] for each (`encode`, `decode`).
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from krigetuner.protos import conversion
from krigetuner.space import conditions as conditions_module
from krigetuner.space.conditions import Condition, Value

Array = npt.NDArray[np.float64]


class HyperParameter:
    """A named quantity that can vary. Its identity is `name` and `conditions`; it is never changed once made.

    Args:
        name: its name, unique among the parameters that are active together.
        default: the value before any search.
        conditions: what must hold for it to be active; all of them.
    """

    def __init__(self, name: str, default: Value | None = None, conditions: Any = None) -> None:
        self.name = name
        self._default = default
        self.conditions: list[Condition] = list(conditions_module.as_list(conditions)) if conditions else []

    @property
    def default(self) -> Any:
        """The value before any search."""
        return self._default

    @property
    def default_given(self) -> bool:
        """Whether somebody chose the default, rather than its being the first value there is."""
        return self._default is not None

    @property
    def identity(self) -> tuple[str, tuple[Condition, ...]]:
        """Name and conditions: what makes it the same parameter."""
        return self.name, tuple(self.conditions)

    @property
    def values(self) -> Sequence[Any]:
        """The values that a grid search visits, in order: all of them, or ten quantiles of a continuum."""
        raise NotImplementedError

    @property
    def listed(self) -> Sequence[Any]:
        """With the default all values, in the order of `values`; of a continuum the same quantiles."""
        return self.values

    @property
    def count(self) -> int | None:
        """How many legal values there are; None for a continuum."""
        raise NotImplementedError

    @property
    def categorical(self) -> bool:
        """Whether the values have no order."""
        return False

    @property
    def logarithmic(self) -> bool:
        """Whether the values are numbers on a logarithmic scale, from either end."""
        return False

    even = True
    """Whether the `count` values have cells of equal width in [0, 1]."""

    def value_at(self, index: int) -> Any:
        """The legal value of an index in [0, count)."""
        raise NotImplementedError

    def index_of(self, value: Any) -> int:
        """The index of the legal value nearest to `value`."""
        raise NotImplementedError

    def canonical(self, value: Any) -> Any:
        """The legal value that `value` means (up to rounding and numpy types).

        Raises:
            ValueError: it is none.
        """
        raise NotImplementedError

    def admitted(self, value: Any) -> Any | None:
        """What user code that expects this parameter can be given for `value`, legal or not; None for nothing."""
        try:
            return self.canonical(value)
        except ValueError:
            return None

    def encode(self, value: Any) -> float:
        """Coordinate in [0, 1] of the legal value nearest to `value`."""
        if self.count is None:
            return self.value_to_prob(value)
        return (self.index_of(value) + 0.5) / self.count

    def decode(self, unit: float) -> Any:
        """The legal value at a coordinate; `decode(encode(v)) == v` for every legal v."""
        if self.count is None:
            return self.prob_to_value(unit)
        return self.value_at(min(max(int(unit * self.count), 0), self.count - 1))

    def snap(self, units: Array) -> Array:
        """The coordinates of the legal values at many coordinates (m,)."""
        if self.count is None:
            return np.clip(units, 0.0, 1.0)
        return np.asarray(
            (np.clip(np.floor(units * self.count), 0, self.count - 1) + 0.5) / self.count, dtype=np.float64
        )

    def random_sample(self, seed: int | None = None) -> Any:
        """A random value; the same for the same seed."""
        return self.prob_to_value(float(random.Random(seed).random()))

    def prob_to_value(self, prob: float) -> Any:
        """The value at a cumulative probability in [0, 1)."""
        raise NotImplementedError

    def value_to_prob(self, value: Any) -> float:
        """The cumulative probability of a value, in the middle of its share; `prob_to_value` takes it back exactly."""
        raise NotImplementedError

    def get_config(self) -> dict[str, Any]:
        """Plain data that `from_config` turns back into an equal parameter (KerasTuner's layout)."""
        return {
            "name": self.name,
            "default": self.default,
            "conditions": [conditions_module.serialize(c) for c in self.conditions],
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Any:
        """The parameter that `get_config` described; the configuration is left as it is."""
        arguments = dict(config)
        arguments["conditions"] = [conditions_module.deserialize(c) for c in arguments.get("conditions") or []]
        return cls(**arguments)

    def to_proto(self) -> Any:
        """The parameter as a message of KerasTuner's protocol."""
        return conversion.parameter_message(type(self).__name__, self.get_config())

    @classmethod
    def from_proto(cls, proto: Any) -> Any:
        """The parameter that `to_proto` described."""
        return cls.from_config(conversion.parameter_config(proto))

    def definition(self) -> tuple[str, dict[str, Any]]:
        """What asking again for the same name and conditions must repeat: class and configuration without them."""
        config = self.get_config()
        return type(self).__name__, {k: v for k, v in config.items() if k not in ("name", "conditions")}
