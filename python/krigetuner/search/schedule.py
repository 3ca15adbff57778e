"""Hyperband's schedule: how many configurations are trained for how long.

Source: Li, Jamieson, DeSalvo, Rostamizadeh and Talwalkar, "Hyperband: A Novel Bandit-Based Approach to Hyperparameter
Optimization", JMLR 18 (185), 2018, Algorithm 1, with KerasTuner's rounding.

Notation (paper): R epochs at most for one training (`max_epochs`), eta (`factor`), s_max + 1 brackets. Bracket s has
the rungs 0 ... s. The paper begins it with n = ceil((s_max + 1) eta^s / (s + 1)) configurations and r = R eta^-s
epochs, and gives rung i floor(n eta^-i) configurations and r eta^i epochs. KerasTuner's size is
ceil(c eta^(s-i) / (s + 1)) with c = ceil(1 + log_eta(R)), which is s_max + 1 when R is a power of eta and one more
otherwise; its epochs are rounded up.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cached_property
from itertools import count


class Schedule:
    """The sizes and epochs of every rung.

    Brackets are numbered twice: by `index`, in the order in which they run (0, 1, 2, ...), and by s, the number of
    times that they halve: s_max, ..., 1, 0, and s_max again in the next iteration.

    Args:
        max_epochs: R, at least 1.
        factor: eta, at least 2.
        iterations: how often all brackets run; infinity for no end.
    """

    def __init__(self, max_epochs: int, factor: float, iterations: float = 1) -> None:
        self.max_epochs = max_epochs
        self.factor = factor
        self.iterations = iterations

    @cached_property
    def brackets(self) -> int:
        """s_max + 1, the number of brackets of one iteration."""
        epochs, found = float(self.max_epochs), 0
        while epochs >= 1:
            epochs, found = epochs / self.factor, found + 1
        return found

    def indices(self) -> Iterator[int]:
        """The indices of all brackets in the order in which they run."""
        if math.isinf(self.iterations):
            return count()
        return iter(range(self.brackets * int(self.iterations)))

    def halvings(self, index: int) -> int:
        """How often a bracket halves: its s; it has s + 1 rungs."""
        return self.brackets - 1 - index % self.brackets

    def size(self, s: int, rung: int) -> int:
        """How many configurations a rung has."""
        c = math.ceil(1 + math.log(self.max_epochs, self.factor))
        return math.ceil(c / (s + 1) * self.factor ** (s - rung))

    def epochs(self, s: int, rung: int) -> int:
        """The epoch to which a rung trains, counted from the begin of the training."""
        return math.ceil(self.max_epochs / self.factor ** (s - rung))

    @property
    def trials(self) -> int:
        """The trials of one iteration."""
        return sum(self.size(s, rung) for s, rung in self._rungs())

    @property
    def trained_epochs(self) -> int:
        """The epochs of all trainings of one iteration; a promoted one goes on where it stood."""
        return sum(
            self.size(s, rung) * (self.epochs(s, rung) - (self.epochs(s, rung - 1) if rung else 0))
            for s, rung in self._rungs()
        )

    def _rungs(self) -> Iterator[tuple[int, int]]:
        for s in reversed(range(self.brackets)):
            for rung in range(s + 1):
                yield s, rung

    def describe(self) -> list[str]:
        """What one iteration runs, a line for each bracket, and how many iterations there are."""
        endless = math.isinf(self.iterations)
        times = "without end" if endless else "once" if self.iterations == 1 else f"{int(self.iterations)} times"
        lines = [f"Hyperband: {self.trials} trials of together {self.trained_epochs} epochs, {times}"]
        for s in reversed(range(self.brackets)):
            rungs = [f"{self.size(s, rung)} to epoch {self.epochs(s, rung)}" for rung in range(s + 1)]
            lines.append(f"bracket {s}: " + ", of them ".join(rungs))
        return lines
