"""The truth about a study in this process: takes events in, keeps them in the store, holds the state they add up to.

Every method that records something checks its arguments first, appends one event, and then folds it into the state, so
that the state never runs ahead of the store. Costs are O(1) per event.
"""

from __future__ import annotations

import secrets
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

from krigetuner.errors import KrigeTunerWarning
from krigetuner.run import plain
from krigetuner.run.messages import Execution
from krigetuner.run.observed import Observed, Placement
from krigetuner.run.opening import Opening, compare, difference_warning, objective_config
from krigetuner.run.policy import Goal
from krigetuner.store import events as e
from krigetuner.store.artifacts import safe_name
from krigetuner.store.connection import ConnectionLost
from krigetuner.store.protocol import Store
from krigetuner.store.replay import StudyState, identity, parameter_name
from krigetuner.trial.history import History, Origin, Value
from krigetuner.trial.trial import TrialRecord

if TYPE_CHECKING:
    from krigetuner.space.space import Space


class Ledger:
    """One study as this process knows it; the only writer of its store.

    Args:
        store: where the events are kept. Its state is taken over.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._state = store.state()
        self._observed = Observed()
        self._redefined: int | None = None
        self._unsure = False

    @property
    def state(self) -> StudyState:
        """The state of the study, the last one known while its server is away; read it, never change it."""
        if self._unsure:
            with suppress(ConnectionLost):
                self._catch_up()
        return self._state

    def _record(self, *events: e.Event) -> None:
        """Appends events, all or none, then folds them in."""
        self._unsure = True  # until both are done: Ctrl-C may come between them
        try:
            last = self._store.append_all(events)
        except Exception as error:
            self._unsure = isinstance(error, ConnectionLost)  # else nothing was recorded
            raise
        for position, event in enumerate(events, last - len(events) + 1):
            self._state.apply(position, event)
            if isinstance(event, e.SpaceGrew) and event.replaces:
                self._redefined = position
        self._unsure = False

    def _catch_up(self) -> None:
        """Takes the state from the store again; the records that others hold stay the same objects."""
        fresh = self._store.state()
        for number, record in self._state.trials.items():
            if number in fresh.trials:
                for field in fields(record):
                    setattr(record, field.name, getattr(fresh.trials[number], field.name))
                fresh.trials[number] = record
        vars(self._state).update(vars(fresh))
        self._redefined = None
        self._observed.forget()
        self._unsure = False

    # --- the study -----------------------------------------------------------------------------------------------

    def open(
        self,
        name: str,
        objective: Goal,
        algorithm: str,
        options: Mapping[str, Any] | None = None,
        *,
        backend: str = "",
        seed: int | None = None,
        parameters: Sequence[Mapping[str, Any]] = (),
        version: str = "",
    ) -> tuple[str, ...]:
        """Begins a new study, or goes on with the recorded one under the code's definitions.

        Trials that ran when the process died wait to be run again, the earliest first.

        Args:
            seed: None draws one for a new study, and keeps the recorded one otherwise; `state.seed` has it.
            parameters: configs of the parameters known so far; definitions recorded earlier serve for other names.

        Returns:
            What changed since it was recorded, one sentence each; a `KrigeTunerWarning` says it too, once, where it
            changes what is tried.

        Raises:
            StudyMismatch: the record is of an unrelated search.
            StoreError: it could not be written.
        """
        code = Opening(
            plain.text(name),
            plain.data(objective_config(objective)),
            algorithm,
            plain.data(options or {}),
            backend,
            seed,
            tuple(plain.data(p) for p in parameters),
            version,
        )
        if self.state.position == 0:
            self._begin(code)
            return ()
        changed = self._reopen(code)
        for number in sorted(self.state.running, reverse=True):
            self._record(e.TrialRequeued(number, "the process ended while the trial ran", plain.now()))
        return changed

    def _begin(self, code: Opening) -> None:
        """Records the opening of a new study."""
        seed = secrets.randbelow(2**31) if code.seed is None else code.seed
        self._record(
            e.StudyOpened(
                code.name, code.objective, code.algorithm, code.options, code.backend, seed, plain.now(), code.version
            )
        )
        self.grow_space(code.parameters)

    def _reopen(self, code: Opening) -> tuple[str, ...]:
        """Records what the code changes, and says so."""
        found = compare(self.state, code)
        everything = found.space + found.options + found.quiet
        if everything:
            seed = self.state.seed if code.seed is None else code.seed
            new = (code.objective, code.algorithm, code.options, code.backend, seed, code.version)
            self._record(e.OptionsChanged(*new, everything, plain.now()))
        if found.space:
            self._define(code.parameters)
        self._tell(found.space + found.options)
        return everything

    def _define(self, configs: Sequence[Mapping[str, Any]]) -> None:
        """Records the code's definitions in place of all recorded ones of these names."""
        names = dict.fromkeys(parameter_name(c) for c in configs)
        self._record(e.SpaceGrew(tuple(configs), tuple(names), plain.now()))
        self._observed.forget()

    def _tell(self, differences: Sequence[str]) -> None:
        """Warns about differences that change what is tried."""
        if differences:
            text = difference_warning(self.state, differences)
            warnings.warn(text, KrigeTunerWarning, stacklevel=5)

    def carry_over(self, earlier: Ledger) -> None:
        """Records all events of another ledger here; this one must be empty.

        Raises:
            ValueError: something is recorded here already.
        """
        if self.state.position:
            raise ValueError(
                f"ledger: expected an empty study, got one with {self.state.position} events; open it instead"
            )
        self.adopt([event for _, event in earlier._store.read()])

    def adopt(self, events: Sequence[e.Event]) -> None:
        """Records the events of a whole study, at least one, all or none; this one must be empty."""
        self._unsure = True
        self._store.append_all(events)
        self._catch_up()

    def grow_space(self, configs: Sequence[Mapping[str, Any]], replaces: Sequence[str] = ()) -> None:
        """Records parameters that the space did not have; known ones (same name and conditions) are passed over.

        Args:
            configs: of the parameters, in order.
            replaces: names whose earlier definitions are withdrawn first.
        """
        gone = set(replaces)
        known = {k for k, c in self.state.parameters.items() if parameter_name(c) not in gone}
        new = {identity(c): plain.data(c) for c in configs if identity(c) not in known}
        if new or len(known) < len(self.state.parameters):
            self._record(e.SpaceGrew(tuple(new.values()), tuple(replaces), plain.now()))

    def save_state(self, key: str, state: Mapping[str, Any]) -> None:
        """Records the state of a user's own oracle or tuner; `state.saved[key]` has the last one."""
        self._record(e.StateSaved(plain.text(key), plain.data(state), plain.now()))

    def stopped(self, reason: str) -> None:
        """Records why the search ended; once, as long as nothing else happens."""
        if self.state.position and reason != self.state.closed:
            self._record(e.StudyClosed(plain.text(reason), plain.now()))

    def close(self, reason: str | None = None) -> None:
        """Records why the search ended, if it did, and closes the store."""
        if reason is not None:
            self.stopped(reason)
        self._store.close()

    # --- trials --------------------------------------------------------------------------------------------------

    def asked(
        self,
        values: Mapping[str, Any],
        origin: Origin,
        counted: bool = True,
        worker: str | None = None,
        trial_id: str | None = None,
        seen: int | None = None,
        begin: bool = False,
    ) -> TrialRecord:
        """Makes a trial; call `started` when it runs, unless it begins at once.

        Args:
            origin: an algorithm named "queue" takes the first enqueued values off the queue.
            counted: False for results obtained elsewhere.
            trial_id: a file name that no other trial has; made from the number by default.
            seen: position of the last event that the suggestion knew of; the present one by default.
            begin: True to record in the same transaction that its first attempt begins.

        Raises:
            ValueError: the id is taken or no file name.
        """
        number = len(self.state.trials)
        name = f"{number:04d}" if trial_id is None else safe_name(trial_id)
        if name in self.state.numbers:
            raise ValueError(f"trial_id: expected a new one, got {name!r}, which trial {self.state.numbers[name]} has")
        seen = self.state.position if seen is None else seen
        origin = replace(origin, note=plain.values(origin.note)) if origin.note else origin
        asked = e.TrialAsked(number, name, plain.values(values), origin, seen, counted, worker, plain.now())
        self._record(asked, *([e.TrialStarted(number, 0, worker, plain.now())] if begin else []))
        return self.state.trials[number]

    def started(self, number: int, worker: str | None = None) -> TrialRecord:
        """Records that an attempt at the trial begins, and takes it off the queue.

        Raises:
            ValueError: the trial is over, or runs already.
        """
        record = self._trial(number)
        if number not in self.state.waiting and not (number in self.state.running and record.attempt < 0):
            raise ValueError(f"trial {record.trial_id}: expected one to start, got one that is {record.status}")
        worker = record.worker if worker is None else worker
        self._record(e.TrialStarted(number, record.attempt + 1, worker, plain.now()))
        self._observed.touch(number)
        return record

    def reported(self, number: int, step: int, metrics: Mapping[str, Any], execution: int = 0) -> None:
        """Records the metrics of one step of a running trial."""
        record = self._running(number)
        attempt = max(record.attempt, 0)
        event = e.TrialReported(number, attempt, execution, plain.step(step), plain.metrics(metrics), plain.now())
        self._record(event)

    def finished(
        self,
        number: int,
        executions: Sequence[Execution],
        metrics: Mapping[str, Any],
        step: int,
        score: float,
        variance: float | None = None,
        values: Mapping[str, Any] | None = None,
        unasked: Sequence[str] | None = None,
    ) -> None:
        """Records that the trial completed.

        Args:
            score: the objective; not NaN.
            variance: of the score's mean over executions.
            values: its values again, when hyperparameters were discovered while it ran.
            unasked: the names in its values that its code never asked for; None where that is not known.

        Raises:
            ValueError: the trial does not run, or the score is NaN.
        """
        self._running(number)
        if score != score:
            raise ValueError(f"score of trial {number}: expected a number, got NaN; record it as failed")
        done = tuple((plain.metrics(x.metrics), int(x.step)) for x in executions)
        known = None if variance is None else float(variance)
        told = (plain.metrics(metrics), int(step), float(score), known, plain.now(), self._new_values(number, values))
        self._record(e.TrialFinished(number, done, *told, plain.names(unasked)))
        self._observed.touch(number)

    def failed(
        self,
        number: int,
        kind: str,
        message: str,
        requeue: bool,
        values: Mapping[str, Any] | None = None,
        unasked: Sequence[str] | None = None,
    ) -> None:
        """Records that an attempt failed.

        Args:
            kind: as in `run.messages.Failed`.
            requeue: True to run the trial again, before anything new; False when it is over.
            values, unasked: as in `finished`.
        """
        attempt = max(self._running(number).attempt, 0)
        new = self._new_values(number, values)
        told = (plain.text(message), not requeue, plain.now(), new, plain.names(unasked))
        self._record(e.TrialFailed(number, attempt, kind, *told))
        self._observed.touch(number)

    def interrupted(self, number: int, reason: str) -> None:
        """Records that a trial ended without its fault; it is run again before anything new."""
        attempt = max(self._running(number).attempt, 0)
        self._record(e.TrialInterrupted(number, attempt, plain.text(reason), plain.now()))
        self._observed.touch(number)

    def next_requeued(self, space: Space) -> TrialRecord | None:
        """The trial of the space that is to be run again next, None when there is none; `started` takes it away."""
        outside = self.placement(space).outside
        return next((self.state.trials[n] for n in reversed(self.state.waiting) if n not in outside), None)

    def enqueue(self, values: Mapping[str, Any]) -> None:
        """Records values to be tried before anything suggested, after those enqueued before."""
        self._record(e.TrialEnqueued(plain.values(values), plain.now()))

    def next_enqueued(self) -> dict[str, Value] | None:
        """The values to try next, None when there are none; `asked` with an origin named "queue" takes them off."""
        return dict(self.state.enqueued[0]) if self.state.enqueued else None

    def refuse_enqueued(self, reason: str) -> None:
        """Takes the first of the enqueued values off the queue without a trial."""
        self._record(e.EnqueuedRefused(self.state.enqueued[0], plain.text(reason), plain.now()))

    def changes(self, after: int = 0) -> Iterator[tuple[int, e.Event]]:
        """The events behind a position, in order, without the reports of single steps."""
        return self._store.read(after, reports=False)

    # --- reading -------------------------------------------------------------------------------------------------

    def history(self, space: Space) -> History:
        """What an algorithm sees: trials that lie in this space, completed with defaults where they lack a parameter.

        Pass the same object as long as the space is the same: another one is compared with every trial.
        """
        return self._observed.history(space, self.state)

    def placement(self, space: Space) -> Placement:
        """Which trials do not lie in this space since it was redefined; the same object is renewed by every call."""
        self._observed.placement.renew(space, self.state, self._last_redefinition)
        return self._observed.placement

    def _last_redefinition(self) -> int:
        """Position of the last event that replaced definitions of parameters; 0 when there is none."""
        if self._redefined is None:
            replaced = (p for p, x in self._store.read() if isinstance(x, e.SpaceGrew) and x.replaces)
            self._redefined = max(replaced, default=0)
        return self._redefined

    def measurements(self, number: int | None = None) -> Iterator[e.TrialReported]:
        """Every reported step of one trial, or of all, in the order of trial, then of recording."""
        return self._store.measurements(number)

    def _trial(self, number: int) -> TrialRecord:
        """The record of a trial that must exist."""
        if number not in self.state.trials:
            raise ValueError(f"trial: expected a number from 0 to {len(self.state.trials) - 1}, got {number!r}")
        return self.state.trials[number]

    def _running(self, number: int) -> TrialRecord:
        """The record of a trial that must be running."""
        record = self._trial(number)
        if number not in self.state.running:
            raise ValueError(
                f"trial {record.trial_id}: expected a running trial, got one that is {record.status}; "
                "reports of an attempt that is over are not recorded"
            )
        return record

    def _new_values(self, number: int, values: Mapping[str, Any] | None) -> dict[str, Value] | None:
        """The values, if they are not those that the record has."""
        if values is None or values == self.state.trials[number].values:
            return None
        return plain.values(values)
