"""A worker process, as the process that conducts the search sees it."""

from __future__ import annotations

import json
import math
import os
import pickle
import select
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from krigetuner.run.local.channel import Channel
from krigetuner.run.local.parcels import Descriptor, Parcel
from krigetuner.run.local.resources import Share
from krigetuner.run.messages import Context, Job, Outcome

PLACE = "KRIGETUNER_WORKER"
"""The variable that tells a worker where it is; it is gone before anybody else's code runs."""

BEGIN = f"""
import json, os, sys
place = json.loads(os.environ.pop("{PLACE}"))
sys.path[:], sys.argv[:] = place["path"], place["argv"]
from krigetuner.run.local.worker_process import main
main(place["channel"], place["lifeline"], place["parent"], place["cores"])
"""
"""What a worker's interpreter runs: before anything else is imported, it finds what this process finds."""


def packed_away(context: Context) -> Outcome:
    """Stands for the work of a job while that is packed."""
    raise RuntimeError("job: expected its work, which is packed; it runs in another process")


@dataclass
class Task:
    """The job of a worker.

    Attributes:
        job: without its work.
        run: the work.
        shared: the values that it shares with other jobs, by key.
        log: file for its output, None for the worker's own.
        log_start: length of that file before the job.
        deadline: clock reading at which it has run for too long.
        taken: whether the worker has begun to load it.
        overdue: whether its time was over.
    """

    job: Job
    run: Parcel
    shared: Mapping[str, Parcel]
    log: Path | None
    log_start: int = 0
    deadline: float = math.inf
    taken: bool = False
    overdue: bool = False


@dataclass(eq=False)
class Worker:
    """One process and the ways to it.

    Attributes:
        slot: index of the slot that it works for.
        process: the process, in a session of its own.
        channel: messages to and from it.
        watch: descriptor that can be read when it is dead; None where the system has no such thing.
        lifeline: the end of a pipe that closes with this process.
        scratch: the file of its output while no trial's takes it.
        ready: whether it has started.
        busy: whether it has a job.
        used: whether it has or had one.
        holds: the keys of the shared values that it has.
        leaving: clock reading at which it is killed, if it does not end by itself; None while it is wanted.
        dismissed: whether it was asked to end when it had nothing to do.
    """

    slot: int
    process: subprocess.Popen[bytes]
    channel: Channel
    watch: Descriptor | None
    lifeline: Descriptor
    scratch: Descriptor
    ready: bool = False
    busy: bool = False
    used: bool = False
    holds: set[str] = field(default_factory=set)
    leaving: float | None = None
    dismissed: bool = False

    def give(self, task: Task) -> None:
        """Sends a job, with those of the shared values that the worker does not have.

        Raises:
            OSError: the worker is dead.
        """
        self.busy = self.used = True
        files: list[Descriptor] = []
        run = _sent(task.run, files)
        shared = self._told(task.shared, files)
        log = None if task.log is None else str(task.log)
        self._send(["job", task.job, run, shared, log, len(files)], files)

    def prepare(self, shared: Mapping[str, Parcel]) -> None:
        """Has the worker load shared values before a job needs them.

        Raises:
            OSError: the worker is dead.
        """
        files: list[Descriptor] = []
        told = self._told(shared, files)
        self._send(["prepare", told, len(files)], files)

    def _send(self, order: list[Any], files: Sequence[Descriptor] = ()) -> None:
        self.channel.send(pickle.dumps(order), [f.number for f in files])

    def _told(self, shared: Mapping[str, Parcel], files: list[Descriptor]) -> dict[str, Any]:
        told = {key: None if key in self.holds else _sent(parcel, files) for key, parcel in shared.items()}
        self.holds = set(shared)
        return told

    def stop(self, job: Job) -> None:
        """Asks a job to end early.

        Raises:
            OSError: the worker is dead.
        """
        self._send(["stop", (job.number, job.attempt)])

    def end(self) -> None:
        """Asks the process to end when it has nothing to do.

        Raises:
            OSError: the worker is dead.
        """
        self._send(["end"])

    def signal(self, number: signal.Signals) -> None:
        """Sends a signal to the process and its children, if it has not been waited for."""
        if self.process.returncode is None:
            try:
                os.killpg(self.process.pid, number)
            except (ProcessLookupError, PermissionError):  # the last ones have ended at this moment
                return

    def dead(self) -> bool:
        """Whether the process has ended; it stays a zombie where that can be seen without waiting for it."""
        if self.watch is None:
            return self.process.poll() is not None
        poll = select.poll()
        poll.register(self.watch.number, select.POLLIN)
        return bool(poll.poll(0))

    def bury(self) -> int:
        """Ends what is left of a dead worker: its children. Their group is the zombie's until that is waited for.

        They are killed; but those of a worker that was asked to end, and has, are asked too, since among them may be
        the one that clears away what `multiprocessing` and joblib have shared.

        Returns:
            The exit code, or a signal's number below 0.
        """
        self.signal(signal.SIGTERM if self.dismissed and self.leaving != math.inf else signal.SIGKILL)
        code = self.process.wait()
        self.channel.close()
        return code


def _sent(parcel: Parcel, files: list[Descriptor]) -> tuple[tuple[int, ...], bytes | None]:
    """A parcel as it stands in a message; what is in a file goes beside."""
    descriptor = parcel.descriptor()
    if descriptor is not None:
        files.append(descriptor)
    return parcel.sizes, parcel.content if isinstance(parcel.content, bytes) else None


def start(share: Share, slot: int) -> Worker:
    """Starts a worker process for a slot.

    Raises:
        OSError: the system does not let this process have more processes or files.
    """
    with ExitStack() as stack:
        ours, theirs = socket.socketpair()
        stack.callback(theirs.close)
        alive, lifeline = map(Descriptor, os.pipe())
        output = stack.enter_context(tempfile.TemporaryFile(prefix="krigetuner-", buffering=0))
        undo = stack.enter_context(ExitStack())
        undo.callback(ours.close)
        process = subprocess.Popen(
            _command(),
            stdin=subprocess.DEVNULL,
            stdout=output.fileno(),
            stderr=subprocess.STDOUT,
            pass_fds=(theirs.fileno(), alive.number),
            start_new_session=True,
            env={**os.environ, **share.environment, PLACE: _place(theirs.fileno(), alive.number, share)},
        )
        watch = _watch(process.pid)
        scratch = Descriptor(os.dup(output.fileno()))
        started = Worker(slot, process, Channel(ours), watch, lifeline, scratch)
        undo.pop_all()
    return started


def _watch(process: int) -> Descriptor | None:
    """What can be read when a process is dead; None where the system, or the container, does not have it."""
    try:
        return Descriptor(os.pidfd_open(process))
    except (AttributeError, OSError):
        return None


def _command() -> list[str]:
    """The command of a worker: this interpreter with its flags; the last word is for those who list processes."""
    flags: list[str] = getattr(subprocess, "_args_from_interpreter_flags", list)()
    return [sys.executable, *flags, "-c", BEGIN, f"krigetuner-worker-of-{os.getpid()}"]


def _place(channel: int, lifeline: int, share: Share) -> str:
    """What a worker must know before it imports anything."""
    place = {
        "channel": channel,
        "lifeline": lifeline,
        "parent": os.getpid(),
        "path": [entry for entry in sys.path if isinstance(entry, str)],
        "argv": sys.argv,
        "cores": share.cores,
    }
    return json.dumps(place)
