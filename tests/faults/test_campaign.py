"""Short fault campaigns, and that the audit of a campaign sees what it is there to see.

The long version: `python -m tests.faults.campaign --crew processes --faults 200`, the same for the other crews, and
with --postgresql.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.faults import campaign, campaign_ledger
from tests.postgresql import Server

from krigetuner.store import events as e
from krigetuner.store.replay import fold

Events = list[tuple[int, e.Event]]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("crew", "oracle", "faults"), [("alone", "bayesian", 5), ("chief", "hyperband", 4), ("processes", "bayesian", 5)]
)
def test_a_campaign_leaves_nothing_to_complain_of(tmp_path: Path, crew: str, oracle: str, faults: int) -> None:
    seed = {"alone": 5, "chief": 8, "processes": 2}[crew]  # of several kinds of faults each
    done, problems = campaign.run(campaign.Crew(crew, tmp_path, oracle), faults, seed)
    assert sum(done.values()) == faults
    assert problems == []


@pytest.mark.slow
def test_a_campaign_against_a_database_server(tmp_path: Path, postgresql: Server) -> None:
    done, problems = campaign.run(campaign.Crew("processes", tmp_path, "random", postgresql), 4, seed=1)
    assert done["server killed"]
    assert problems == []


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[campaign.Crew, Events]:
    crew = campaign.Crew("alone", tmp_path_factory.mktemp("undisturbed"), "random")
    crew.start(12)
    crew.end()
    crew.diary.refresh(crew.folder / "diary")
    return crew, list(campaign.read(crew)[0])


def renumbered(events: list[e.Event]) -> Events:
    return list(enumerate(events, 1))


def places(events: Events, kind: type[e.Event]) -> list[int]:
    return [index for index, (_, event) in enumerate(events) if isinstance(event, kind)]


def changed(kind: type[e.Event], **fields: Any) -> Callable[[Events], Events]:
    def change(events: Events) -> Events:
        place = places(events, kind)[-1]
        position, event = events[place]
        return [*events[:place], (position, replace(event, **fields)), *events[place + 1 :]]

    return change


def without(kind: type[e.Event]) -> Callable[[Events], Events]:
    def change(events: Events) -> Events:
        place = places(events, kind)[-1]
        return renumbered([event for index, (_, event) in enumerate(events) if index != place])

    return change


def ended_twice(events: Events) -> Events:
    return renumbered([*(event for _, event in events), events[places(events, e.TrialFinished)[-1]][1]])


def run_again(events: Events) -> Events:
    done = events[places(events, e.TrialFinished)[0]][1]
    again = e.TrialStarted(done.number, 1)  # type: ignore[attr-defined]
    return renumbered([*(event for _, event in events), again, done])


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (ended_twice, "ended at"),
        (run_again, "ended at"),
        (lambda events: events[:-2] + events[-1:], "gaps"),
        (changed(e.TrialStarted, attempt=3), "attempt 3"),
        (changed(e.TrialFinished, score=0.25), "score 0.25"),
        (changed(e.TrialReported, metrics={"train_loss": 1e9}), "its epochs are"),
        (without(e.TrialReported), "completed with the epochs"),
        (without(e.TrialFinished), "RUNNING in the end"),
        (changed(e.TrialAsked, values={"x": 0.25, "y": 3.0, "kind": "plain"}), "expected {"),
        (changed(e.TrialAsked, seen=12), "the history was at trial"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_audit_finds_a_record_that_is_wrong(
    undisturbed: tuple[campaign.Crew, Events], change: Callable[[Events], Events], complaint: str
) -> None:
    crew, events = undisturbed
    assert campaign.audit(crew) == []
    wrong = change(events)
    state = fold(wrong)
    found = [
        *campaign_ledger.record_problems(wrong, state),
        *campaign_ledger.result_problems(wrong, state, continued=False),
        *campaign_ledger.replay_problems(wrong, crew.oracle),
    ]
    assert any(complaint in problem for problem in found), found


def test_the_audit_compares_the_diaries(undisturbed: tuple[campaign.Crew, Events]) -> None:
    crew, events = undisturbed
    diary = campaign_ledger.Diary(list(crew.diary.entries))
    last = diary.entries[-1][0]
    first = next(diary.told("begin"))
    diary.entries.append((last + 1, 1, ["begin", *first]))
    diary.entries.append((last + 2, 1, ["epoch", first[0], "0", "2 12.5"]))
    found = campaign_ledger.diary_problems(diary, events, synchronous=True)
    assert any("begun again by process 1 after its end was acknowledged" in problem for problem in found), found
    assert any("epoch 2" in problem and "not recorded" in problem for problem in found), found
