"""Hyperband: many configurations get few epochs, the best of them get more.

Every bracket of the schedule (`search.schedule`) begins with random configurations in its rung 0. The best of a rung
are promoted: they go on with their training in the next rung, to `factor` times as many epochs. Where each trial stands
is in its origin, so that brackets and rungs are read off the history, and nothing is kept.

A promotion happens as soon as nothing that is still to come can change it: the p-th best of a rung goes on when p and
the trials that have not ended yet find room in the next rung together. While nothing can be promoted, later brackets
begin. A trial that failed, or diverged, takes its place with it, and the rung goes on with the others.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from krigetuner.search.protocol import Answer, Done, Suggestion, Wait
from krigetuner.search.random_search import RandomSearch
from krigetuner.search.schedule import Schedule
from krigetuner.space.space import Space
from krigetuner.trial.history import History, Observation, Origin


@dataclass(frozen=True)
class Bracket:
    """One bracket as far as it has run.

    Attributes:
        index: its place in the order of the search.
        s: how often it halves.
        rungs: the members of the rungs 0 ... s, in the order of their numbers.
        sizes: the schedule's sizes of the rungs.
    """

    index: int
    s: int
    rungs: tuple[list[Observation], ...]
    sizes: tuple[int, ...]

    @property
    def open(self) -> bool:
        """Whether rung 0 has room for another configuration."""
        return len(self.rungs[0]) < self.sizes[0]

    @property
    def complete(self) -> bool:
        """Whether the last rung is full."""
        return len(self.rungs[-1]) >= self.sizes[-1]

    def candidates(self, rung: int) -> list[Observation]:
        """Members of a rung that completed and are not in the next one, best first; diverged ones never go on."""
        gone = {member.origin.parent for member in self.rungs[rung + 1]}
        left = [o for o in self.rungs[rung] if _succeeded(o) and o.trial_id not in gone]
        return sorted(left, key=_loss)

    def promotion(self, closed: bool) -> tuple[Observation, int] | None:
        """Who can go on now, and the rung to go to; None when nobody can yet.

        Args:
            closed: whether rung 0 gets no further members although it is not full.
        """
        expected = len(self.rungs[0]) if closed else max(self.sizes[0], len(self.rungs[0]))
        for rung in range(self.s):
            members, places = self.rungs[rung], self.sizes[rung + 1] - len(self.rungs[rung + 1])
            lost = sum(o.phase == "failed" or (o.phase == "completed" and not _succeeded(o)) for o in members)
            pending = expected - lost - sum(map(_succeeded, members))
            if pending < places:
                candidates = self.candidates(rung)
                if candidates:
                    return candidates[0], rung + 1
            expected = max(min(self.sizes[rung + 1], expected - lost), len(self.rungs[rung + 1]))
        return None


class Hyperband:
    """Brackets of successive halving.

    Args:
        seed: of the random configurations.
        schedule: sizes and epochs.
    """

    name = "hyperband"

    def __init__(self, seed: int, schedule: Schedule) -> None:
        self.schedule = schedule
        self._draws = RandomSearch(seed)

    def ask(self, space: Space, history: History, count: int = 1) -> Answer:
        """See `krigetuner.search.protocol.Algorithm`."""
        suggestions: list[Suggestion] = []
        while True:
            answer = self._next(space, history)
            if not isinstance(answer, Suggestion):
                return suggestions or answer
            suggestions.append(answer)
            if len(suggestions) >= count:
                return suggestions
            number = history.next_number
            asked = Observation(number, answer.values, "running", None, None, answer.origin)
            history = history.updated([asked], number + 1)

    def _next(self, space: Space, history: History) -> Suggestion | Wait | Done:
        known = {bracket.index: bracket for bracket in self.brackets(history)}
        exhausted: Wait | Done | None = None
        for index in self.schedule.indices():
            bracket = known.get(index)
            if bracket is None:
                if exhausted is not None:
                    break
                bracket = self._empty(index)
            if bracket.open and exhausted is None:
                drawn = self._draws.ask(space, history, 1)
                if isinstance(drawn, list):
                    return Suggestion(drawn[0].values, self._origin(index, 0))
                exhausted = drawn
            promotion = bracket.promotion(closed=exhausted is not None)
            if promotion is not None:
                best, rung = promotion
                return Suggestion(best.values, self._origin(index, rung, best.trial_id))
        return self._nothing(history, exhausted)

    def _nothing(self, history: History, exhausted: Wait | Done | None) -> Wait | Done:
        running = len(history.in_phase("running"))
        if running:
            return Wait(f"Hyperband waits for {running} running trial{'s' if running > 1 else ''}")
        if isinstance(exhausted, Done):
            return exhausted
        return Done(
            f"all {self.schedule.brackets} brackets of {int(self.schedule.iterations)} iteration"
            f"{'s' if self.schedule.iterations > 1 else ''} have been run; raise hyperband_iterations to go on"
        )

    def place(self, history: History) -> Origin:
        """Where a configuration goes that is given from outside: to the next free place of a rung 0.

        Without one it trains to the last epoch, beside the brackets.
        """
        known = {bracket.index: bracket for bracket in self.brackets(history)}
        for index in self.schedule.indices():
            if index not in known or known[index].open:
                return self._origin(index, 0)
        return Origin(self.name, budget=self.schedule.max_epochs)

    def brackets(self, history: History) -> list[Bracket]:
        """The brackets that have begun, in the order in which they run.

        A trial counts where its epochs are those that the schedule has there, and where the one that it goes on from
        counts too: under another `max_epochs` or `factor`, trials that do not fit stand beside the brackets.
        """
        found: dict[int, Bracket] = {}
        members: dict[tuple[int, int], set[str]] = {}
        for o in history:
            index, rung = o.origin.bracket, o.origin.rung
            if index is None or rung is None:
                continue
            bracket = found.get(index) or self._empty(index)
            if rung > bracket.s or o.origin.budget != self.schedule.epochs(bracket.s, rung):
                continue
            if rung and o.origin.parent not in members.get((index, rung - 1), ()):
                continue
            found[index] = bracket
            bracket.rungs[rung].append(o)
            members.setdefault((index, rung), set()).add(o.trial_id)
        return [found[index] for index in sorted(found)]

    def continued(self, history: History) -> set[str]:
        """The ids of ended trials whose training goes on, or may go on, in a later rung."""
        needed: set[str] = set()
        for bracket in self.brackets(history):
            for rung in range(bracket.s):
                following = bracket.rungs[rung + 1]
                places = max(bracket.sizes[rung + 1] - len(following), 0)
                needed.update(o.trial_id for o in bracket.candidates(rung)[:places])
                needed.update(o.origin.parent for o in following if o.phase == "running" and o.origin.parent)
        return needed

    def _empty(self, index: int) -> Bracket:
        s = self.schedule.halvings(index)
        return Bracket(
            index, s, tuple([] for _ in range(s + 1)), tuple(self.schedule.size(s, rung) for rung in range(s + 1))
        )

    def _origin(self, index: int, rung: int, parent: str | None = None) -> Origin:
        budget = self.schedule.epochs(self.schedule.halvings(index), rung)
        return Origin(self.name, bracket=index, rung=rung, parent=parent, budget=budget)


def _succeeded(o: Observation) -> bool:
    return o.phase == "completed" and o.loss is not None and math.isfinite(o.loss)


def _loss(o: Observation) -> float:
    return math.inf if o.loss is None else o.loss
