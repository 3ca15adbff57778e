"""History: phases, the next number, and an update that equals a history made anew."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from krigetuner.trial import History, Observation, Origin
from krigetuner.trial.history import CHUNK, Phase

MANY = 2 * CHUNK + 3
BETWEEN = [
    0,
    1,
    2 * CHUNK - 2,
    2 * CHUNK - 1,
    2 * CHUNK,
    2 * CHUNK + 1,
    4 * CHUNK - 1,
    2 * MANY - 2,
    2 * MANY,
    2 * MANY + 1,
]
"""Places at the edges of the pieces of a history of every second of so many trials."""

PHASES: tuple[Phase, ...] = ("running", "completed", "failed")


def observation(number: int, phase: Phase) -> Observation:
    """A trial in a phase."""
    return Observation(number, {"x": number}, phase, 1.0 if phase == "completed" else None, None, Origin("test"))


def test_history() -> None:
    rows = [observation(0, "completed"), observation(2, "running"), observation(3, "completed")]
    history = History(rows)
    assert list(history) == rows
    assert (len(history), history[1], history[-1], history[:2]) == (3, rows[1], rows[2], tuple(rows[:2]))
    assert history.in_phase("completed") == [rows[0], rows[2]]
    assert history.in_phase("failed") == []
    assert history.next_number == 4
    assert History(rows, next_number=9).next_number == 9
    assert History().next_number == 0


def test_what_is_handed_out_is_a_copy() -> None:
    history = History([observation(0, "running")])
    history.in_phase("running").clear()
    assert len(history.in_phase("running")) == 1


@given(
    changes=st.lists(
        st.lists(st.tuples(st.integers(0, 8), st.sampled_from(PHASES)), max_size=4, unique_by=lambda c: c[0]),
        max_size=8,
    ),
    asked=st.lists(st.sampled_from(PHASES), max_size=8),
)
def test_an_update_equals_a_history_made_anew(changes: list[list[tuple[int, Phase]]], asked: list[Phase]) -> None:
    history, rows = History(), dict[int, Observation]()
    for i, change in enumerate(changes):
        new = [observation(number, phase) for number, phase in change]
        before = list(history)
        rows.update((o.number, o) for o in new)
        updated = history.updated(new)
        assert list(history) == before
        history = updated
        fresh = History([rows[n] for n in sorted(rows)])
        assert list(history) == list(fresh)
        assert history.next_number == fresh.next_number
        for phase in asked[i:]:
            assert history.in_phase(phase) == fresh.in_phase(phase)
    assert history.updated([], next_number=99).next_number == 99


@given(
    changes=st.lists(
        st.lists(st.tuples(st.sampled_from(BETWEEN), st.sampled_from(PHASES)), max_size=4, unique_by=lambda c: c[0]),
        min_size=1,
        max_size=4,
    )
)
def test_a_long_history_is_updated_piece_by_piece(changes: list[list[tuple[int, Phase]]]) -> None:
    rows = {2 * n: observation(2 * n, PHASES[n % 3]) for n in range(MANY)}
    history = History(rows.values())
    for phase in PHASES[:2]:
        history.in_phase(phase)
    for change in changes:
        new = [observation(number, phase) for number, phase in change]
        rows.update((o.number, o) for o in new)
        history = history.updated(new)
        expected = [rows[n] for n in sorted(rows)]
        assert list(history) == expected
        assert [history[i] for i in range(-len(rows), len(rows))] == 2 * expected
        assert (len(history), history.next_number) == (len(rows), max(rows) + 1)
        assert [len(chunk) for chunk in history.chunks[:-1]] == [CHUNK] * (len(history.chunks) - 1)
        for phase in PHASES:
            assert history.in_phase(phase) == [o for o in expected if o.phase == phase]


def test_what_did_not_change_is_shared() -> None:
    history = History(observation(n, "completed") for n in range(MANY))
    updated = history.updated([observation(1, "failed"), observation(MANY, "running")])
    assert [a is b for a, b in zip(history.chunks, updated.chunks, strict=True)] == [False, True, False]
