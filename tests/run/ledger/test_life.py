"""Any order of events: the ledger's state is the fold of what it recorded, also after a reopening."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from tests.contracts.store import ANY_FLOAT, portrait
from tests.run.ledger.study import RANDOM, config, opened, space

from krigetuner.run.ledger import Ledger
from krigetuner.run.messages import Execution
from krigetuner.store.database import DatabaseStore
from krigetuner.store.memory import MemoryStore
from krigetuner.store.replay import fold
from krigetuner.trial.history import Observation, Origin


class Life(RuleBasedStateMachine):
    """Random calls; at every moment state, fold and tables are equal."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "study.sqlite"
        self.ledger = opened(DatabaseStore(self.path))

    @property
    def running(self) -> list[int]:
        return sorted(n for n in self.ledger.state.running if self.ledger.state.trials[n].attempt >= 0)

    @property
    def startable(self) -> list[int]:
        return sorted(set(self.ledger.state.waiting) | (self.ledger.state.running - set(self.running)))

    @rule(x=st.floats(0, 2), queued=st.booleans())
    def ask(self, x: float, queued: bool) -> None:
        self.ledger.asked({"x": x}, Origin("queue") if queued else RANDOM)

    @precondition(lambda self: self.startable)
    @rule(data=st.data())
    def start(self, data: st.DataObject) -> None:
        self.ledger.started(data.draw(st.sampled_from(self.startable)))

    @precondition(lambda self: self.running)
    @rule(data=st.data(), loss=ANY_FLOAT, step=st.integers(0, 3))
    def report(self, data: st.DataObject, loss: float, step: int) -> None:
        self.ledger.reported(data.draw(st.sampled_from(self.running)), step, {"val_loss": loss})

    @precondition(lambda self: self.running)
    @rule(data=st.data(), score=st.floats(allow_nan=False))
    def finish(self, data: st.DataObject, score: float) -> None:
        number = data.draw(st.sampled_from(self.running))
        self.ledger.finished(number, [Execution({"val_loss": score})], {"val_loss": score}, 0, score)

    @precondition(lambda self: self.running)
    @rule(data=st.data(), how=st.integers(0, 2))
    def stop(self, data: st.DataObject, how: int) -> None:
        number = data.draw(st.sampled_from(self.running))
        if how == 2:
            self.ledger.interrupted(number, "m")
        else:
            self.ledger.failed(number, "invalid", "m", requeue=bool(how))

    @rule(x=st.floats(0, 1))
    def enqueue(self, x: float) -> None:
        self.ledger.enqueue({"x": x})

    @rule(name=st.sampled_from("xyz"))
    def grow(self, name: str) -> None:
        self.ledger.grow_space([config(name)])

    @rule(closing=st.booleans())
    def reopen(self, closing: bool) -> None:
        was_running = len(self.ledger.state.running)
        position = self.ledger.state.position
        if closing:
            self.ledger.close()
        else:
            self.ledger = Ledger(MemoryStore())
        self.ledger = opened(DatabaseStore(self.path))
        assert self.ledger.state.position == position + was_running
        assert not self.ledger.state.running

    @invariant()
    def state_fold_and_tables_are_equal(self) -> None:
        store = self.ledger._store
        assert portrait(self.ledger.state) == portrait(store.state()) == portrait(fold(store.read()))

    @invariant()
    def history_is_what_it_would_be_from_scratch(self) -> None:
        def plain(observations: Any) -> list[tuple[Any, ...]]:
            return [(o.number, dict(o.values), o.phase, o.loss) for o in observations]

        kept: Any = self.ledger.history(SPACE)
        assert plain(kept) == plain(Ledger(self.ledger._store).history(SPACE))
        assert all(isinstance(o, Observation) for o in kept)

    def teardown(self) -> None:
        self.ledger.close()
        self.folder.cleanup()


SPACE = space()
TestLife = Life.TestCase
TestLife.settings = settings(max_examples=15, stateful_step_count=25, deadline=None)
