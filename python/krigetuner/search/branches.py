"""Conditions that nobody declared: which parameters a trial's code asks for, learned from what others asked for.

Code may ask for a parameter under a plain `if` that looks at another one, its gate. The space knows nothing of that;
the trials tell what they asked for. A gate has a parameter asked for with some of its values and not with others: any
values where they are categories; where they are numbers, all above the others or all below. Of the gates that agree
with all trials the one that says most is taken: n trials have 2^n ways to ask or not, and a gate allows 2^k of them
when it had k different values, or 2 k when these are numbers; the difference of the logarithms is its evidence in bits.

What was learned is a guess about combinations that were never tried. A wrong one costs a trial in which a value is the
default, since the code asks for it after all; that ends the guess. It never ends a search too early, because every
combination of what is believed to be asked for is tried before.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from math import log2

from krigetuner.space.conditions import Parent
from krigetuner.space.parameter import HyperParameter
from krigetuner.space.space import Space
from krigetuner.trial.history import History, Observation, Value

LARGEST = 32
"""Parameters with more values are no gates."""

EVIDENCE = 2.0
"""Least evidence, in bits."""


class Gate:
    """What trials say of a parameter that another one may depend on; nothing that is said later can make it fit again.

    Args:
        parameter: the gate.

    Attributes:
        refuted: whether it does not agree with some trial.
    """

    def __init__(self, parameter: HyperParameter) -> None:
        self.parameter = parameter
        self.refuted = False
        self._trials = 0
        self._with_it: set[int] = set()
        self._without: set[int] = set()

    def note(self, values: Mapping[str, Value], unasked: tuple[str, ...], asked: bool) -> None:
        """Takes in a trial that had the other parameter, and asked for it or not."""
        name = self.parameter.name
        if name not in values or name in unasked:  # then it did not open the branch, but need not have closed it
            self.refuted |= asked
            return
        self._trials += 1
        mine, others = (self._with_it, self._without) if asked else (self._without, self._with_it)
        mine.add(self.parameter.index_of(values[name]))
        if self._with_it and self._without:
            apart = not mine & others if self._unordered else min(mine) > max(others) or max(mine) < min(others)
            self.refuted |= not apart

    @property
    def _unordered(self) -> bool:
        return self.parameter.categorical or self.parameter.count == 2

    @property
    def evidence(self) -> float:
        """In bits; less than 0 where the gate does not agree with the trials, or says nothing."""
        if self.refuted or not self._with_it or not self._without:
            return -1.0
        k = len(self._with_it) + len(self._without)
        return self._trials - (k if self._unordered else log2(2 * k))

    @property
    def opening(self) -> list[Value]:
        """The values with which the other parameter is asked for, as far as is known: all but those without it."""
        everything = range(self.parameter.count or 0)
        if self._unordered:
            found = [i for i in everything if i not in self._without]
        elif max(self._without) < min(self._with_it):
            found = list(everything[max(self._without) + 1 :])
        else:
            found = list(everything[: min(self._without)])
        return [self.parameter.value_at(i) for i in found]


class Branches:
    """The space with the conditions that the trials let guess; a cache of a pure function of (space, history)."""

    def __init__(self) -> None:
        self._begin(None)

    def _begin(self, space: Space | None) -> None:
        """Forgets all trials."""
        self._space = space
        self._chunks: tuple[tuple[Observation, ...], ...] = ()
        self._known: dict[int, Observation] = {}
        self._gates: dict[str, list[Gate]] = {}
        self._guessed: dict[str, tuple[str, tuple[Value, ...]]] = {}
        self._made: Space | None = None

    def space(self, space: Space, history: History) -> Space:
        """The space as the trials of the history show it; the same object while that stays the same."""
        if space is not self._space or len(history) < len(self._known) or not self._learn(history):
            self._begin(space)
            self._learn(history)
        return self._made or space

    def _learn(self, history: History) -> bool:
        """Takes in what is new; False when a trial is not what it was."""
        known, before = self._chunks, len(self._known)
        for number, chunk in enumerate(history.chunks):
            was = known[number] if number < len(known) else ()
            if was is chunk:
                continue
            changed = [(had, o) for had, o in zip(was, chunk, strict=False) if o is not had]
            if len(chunk) < len(was) or any(had.number != o.number for had, o in changed):
                return False
            for o in (*(o for _, o in changed), *chunk[len(was) :]):
                if o.number in self._known:
                    if (o.values, o.unasked) != (self._known[o.number].values, self._known[o.number].unasked):
                        return False
                elif o.phase == "completed" and o.unasked is not None:
                    self._take(o)
        self._chunks = history.chunks
        if len(self._known) > before and self._gates:
            self._guess()
        return True

    def _take(self, o: Observation) -> None:
        """Takes one trial in."""
        for name in o.unasked or ():
            if name not in self._gates:
                self._gates[name] = self._possible_gates(name)
                for earlier in self._known.values():
                    self._note(name, earlier)
        self._known[o.number] = o
        for name in self._gates:
            self._note(name, o)

    def _possible_gates(self, name: str) -> list[Gate]:
        """The parameters that were there before this one, the last of them first."""
        names = [p.name for p in self._space.parameters] if self._space else []
        if names.count(name) > 1:
            return []
        earlier = self._space.parameters[: names.index(name)] if self._space else ()
        fit = [p for p in earlier if p.count and 1 < p.count <= LARGEST and names.count(p.name) == 1]
        return [Gate(p) for p in reversed(fit)]

    def _note(self, name: str, o: Observation) -> None:
        if name in o.values:
            unasked = o.unasked or ()
            for gate in (gate for gate in self._gates[name] if not gate.refuted):
                gate.note(o.values, unasked, name not in unasked)

    def _guess(self) -> None:
        """Makes the space of what is known by now."""
        guessed = {}
        for name, gates in self._gates.items():
            best = max(gates, key=lambda gate: gate.evidence, default=None)
            if best is not None and best.evidence >= EVIDENCE:
                guessed[name] = best.parameter.name, tuple(best.opening)
        if guessed != self._guessed and self._space is not None:
            self._guessed = guessed
            made = [_under(p, *guessed[p.name]) if p.name in guessed else p for p in self._space.parameters]
            self._made = Space(made) if guessed else None


def _under(parameter: HyperParameter, gate: str, values: tuple[Value, ...]) -> HyperParameter:
    """A parameter with one more condition."""
    twin = copy.copy(parameter)
    twin.conditions = [*parameter.conditions, Parent(gate, list(values))]
    return twin
