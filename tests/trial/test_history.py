"""History: phases, the next number, and an update that equals a history made anew."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from krigetuner.trial import History, Observation, Origin
from krigetuner.trial.history import Phase

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
