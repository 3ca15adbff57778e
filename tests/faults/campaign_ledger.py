"""What must hold after a fault campaign: the record of the study against itself, the diaries, and the algorithm.

Every check gives sentences about what is wrong; none is none.
"""

from __future__ import annotations

import json
import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.faults import campaign_script as script

from krigetuner.run.observed import Observed
from krigetuner.space.parameters import deserialize
from krigetuner.space.space import Space
from krigetuner.store import events as e
from krigetuner.store.replay import StudyState, fold
from krigetuner.trial.trial import TrialStatus

Numbered = Sequence[tuple[int, e.Event]]
DEATHS = ("was lost", "killed", "SIGKILL", "signal", "died", "ended while")
"""Words in the message of a trial that failed because its process was killed too often."""


@dataclass
class Diary:
    """What the processes of a campaign wrote, in the order of time.

    Attributes:
        entries: nanoseconds, process, and the words of each entry.
    """

    entries: list[tuple[int, int, list[str]]] = field(default_factory=list)
    _read: dict[Path, int] = field(default_factory=dict)

    def refresh(self, folder: Path) -> None:
        """Reads what was added since the last time."""
        for path in folder.glob("*"):
            with path.open("rb") as file:
                file.seek(self._read.get(path, 0))
                text = file.read()
            self._read[path] = self._read.get(path, 0) + len(text)
            for line in text.decode().splitlines():
                time, *words = line.split(maxsplit=4)
                self.entries.append((int(time), int(path.name), words))
        self.entries.sort(key=lambda entry: entry[0])

    def told(self, word: str) -> Iterator[list[str]]:
        """What follows a word, entry by entry."""
        return (words[1:] for _, _, words in self.entries if words[0] == word)


def record_problems(events: Numbered, state: StudyState) -> list[str]:
    """The record against itself: no gap, every trial ended once, attempts in order, tables as the events say."""
    found = []
    if [position for position, _ in events] != list(range(1, len(events) + 1)):
        found.append("positions of events have gaps")
    if fold(events) != state:
        found.append("the tables are not the fold of the events")
    running: set[int] = set()
    over: dict[int, int] = {}
    attempts: Counter[int] = Counter()
    for position, event in events:
        number = getattr(event, "number", None)
        if number is None:
            continue
        if number in over:
            found.append(f"trial {number} ended at {over[number]}, then {event.kind} at {position}")
        if isinstance(event, e.TrialStarted):
            if number in running:
                found.append(f"trial {number} was started at {position} while it ran")
            if event.attempt != attempts[number]:
                found.append(f"trial {number}: attempt {event.attempt} at {position}, expected {attempts[number]}")
            running.add(number)
            attempts[number] += 1
        elif isinstance(event, e.TrialReported):
            if number not in running or event.attempt != attempts[number] - 1:
                found.append(f"trial {number}: a report of attempt {event.attempt} at {position}, which does not run")
        elif not isinstance(event, e.TrialAsked):
            running.discard(number)
            if isinstance(event, e.TrialFinished) or (isinstance(event, e.TrialFailed) and event.final):
                over[number] = position
    return found


def result_problems(events: Numbered, state: StudyState, continued: bool) -> list[str]:
    """The results against the function that was searched: known scores, known failures, every epoch of every end.

    Args:
        continued: whether a process that runs a trial may go on under another attempt, as a worker does whose chief was
            restarted; then the epochs of all attempts together have to be whole.
    """
    found = []
    steps = defaultdict(list)
    for _, event in events:
        if isinstance(event, e.TrialReported):
            attempt = 0 if continued else event.attempt
            steps[event.number, attempt].append((event.step, event.metrics["train_loss"]))
    for number, record in state.trials.items():
        fails = script.own_failure(record.values)
        value = script.loss(record.values)
        told = steps[number, 0 if continued else record.attempt]
        told = sorted(set(told)) if continued else told
        whole = [(step, value + 3 - step) for step in range(script.EPOCHS)]
        if told != whole[: len(told)] and not (continued and set(told) <= set(whole)):
            found.append(f"trial {number}: its epochs are {told}, expected the beginning of {whole}")
        if record.status == TrialStatus.COMPLETED:
            if fails or record.score != value:
                found.append(f"trial {number}: score {record.score}, expected {fails or value}")
            if told != whole:
                found.append(f"trial {number} completed with the epochs {told}")
        elif record.status == TrialStatus.FAILED:
            message = record.message or ""
            own = {"raise": "too steep", "nan": "finite number, got nan", "": "no reason"}[fails]
            if own not in message and not any(word in message for word in DEATHS):
                found.append(f"trial {number} failed, expected {fails or 'a result'}: {message[-300:]}")
        else:
            found.append(f"trial {number} is {record.status} in the end")
    return found


def diary_problems(diary: Diary, events: Numbered, synchronous: bool) -> list[str]:
    """The record against the diaries: what was acknowledged is there, and nothing is run again after its end.

    Args:
        synchronous: whether an epoch is in the record when `report` returns.
    """
    state = fold(events)
    found = []
    recorded = {
        (event.number, event.attempt, event.step, event.metrics["train_loss"])
        for _, event in events
        if isinstance(event, e.TrialReported)
    }
    for trial_id, attempt, rest in diary.told("epoch") if synchronous else ():
        step, value = rest.split()
        if (state.numbers[trial_id], int(attempt), int(step), float(value)) not in recorded:
            found.append(f"epoch {step} of trial {trial_id}, attempt {attempt}, was acknowledged and is not recorded")
    ended: Counter[str] = Counter()
    values: dict[str, Any] = {}
    for _, process, words in diary.entries:
        if words[0] == "begin":
            if ended[words[1]]:
                found.append(f"trial {words[1]} was begun again by process {process} after its end was acknowledged")
            given = {key: value for key, value in json.loads(words[3]).items() if key != "bumps"}
            if values.setdefault(words[1], given) != given:
                found.append(f"trial {words[1]} was run with {values[words[1]]}, then with {given}")
        elif words[0] == "ended" and words[2] in (TrialStatus.COMPLETED, TrialStatus.FAILED):
            ended[words[1]] += 1
            record = state.trials[state.numbers[words[1]]]
            if ended[words[1]] > 1 or record.status != words[2]:
                found.append(f"trial {words[1]} is {record.status}, acknowledged {ended[words[1]]} times as {words[2]}")
    return found


def replay_problems(events: Numbered, oracle: str, every: int = 1) -> list[str]:
    """The suggestions against the algorithm: made anew, it is asked with the history that each suggestion saw.

    Args:
        every: asks for one suggestion in so many only.
    """
    asked: dict[int, list[e.TrialAsked]] = defaultdict(list)
    for _, event in events:
        suggested = isinstance(event, e.TrialAsked) and event.origin.algorithm == oracle
        if isinstance(event, e.TrialAsked) and suggested and event.number % every == 0:
            asked[event.seen].append(event)
    state, found = StudyState(), []
    for position, event in events:
        state.apply(position, event)
        for made in asked.get(position, ()):
            problem = _suggestion_problem(state, made, oracle)
            if problem:
                found.append(problem)
    return found


def _suggestion_problem(state: StudyState, made: e.TrialAsked, name: str) -> str | None:
    """What is wrong with one suggestion, given the study as it saw it."""
    oracle = script.make_oracle(name, int(state.options.get("max_trials") or 1))
    oracle.seed = state.seed
    for option in ("hyperband_iterations",):
        if option in state.options:
            setattr(oracle, option, state.options[option])
    oracle._definitions.known_before = frozenset(state.saved["search_space"]["initial"])
    space = Space(tuple(deserialize(config) for config in state.parameters.values()))
    history = Observed().history(space, state)
    answer = oracle._make_algorithm().ask(space, history, 1)
    where = f"trial {made.number}, asked at {made.seen}"
    if history.next_number != made.number:
        return f"{where}: the history was at trial {history.next_number}"
    if not isinstance(answer, list):
        return f"{where}: expected {made.values}, got {answer}"
    values = {key: value for key, value in made.values.items() if not key.startswith("tuner/")}
    if not _same(values, answer[0].values):
        return f"{where}: expected {dict(answer[0].values)}, got {values}"
    told, own = made.origin, answer[0].origin
    if any(getattr(told, x) != getattr(own, x) for x in ("algorithm", "bracket", "rung", "parent", "budget")):
        return f"{where}: expected {own}, got {told}"
    return None


def _same(given: Mapping[str, Any], expected: Mapping[str, Any]) -> bool:
    """Whether values agree, numbers to 1e-9."""
    if given.keys() != expected.keys():
        return False
    return all(
        math.isclose(given[k], v, rel_tol=1e-9) if isinstance(v, float) else given[k] == v for k, v in expected.items()
    )
