"""A real Ray cluster for tests: several nodes, all on this machine, beside others that may run there."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psutil
import pytest

STORE = 80_000_000
"""Bytes of a node's object store; Ray's least is 75 MiB."""


@contextmanager
def nodes(head: int, *others: int) -> Iterator[Any]:
    """A cluster of a head and other nodes, each with so many cores; skipped where there is no Ray."""
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'krigetuner[ray]'")
    directory = tempfile.mkdtemp(prefix="kt-", dir="/tmp")  # of this cluster alone; short, for the sockets' names
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("TMPDIR", directory)
        patch.setattr(tempfile, "tempdir", directory)
        made = _started(head, others)
        try:
            yield made
        finally:
            made.shutdown()
    shutil.rmtree(directory, ignore_errors=True)


def _started(head: int, others: tuple[int, ...]) -> Any:
    """A cluster whose nodes are there; begun anew where Ray gave up waiting on a busy machine."""
    from ray.cluster_utils import Cluster

    for tries_left in (4, 3, 2, 1, 0):
        made = Cluster()
        try:
            made.add_node(wait=False, num_cpus=head, object_store_memory=STORE, include_dashboard=False)
            for cores in others:
                made.add_node(wait=False, num_cpus=cores, object_store_memory=STORE)
            made.wait_for_nodes(timeout=150)
        except Exception as error:
            made.shutdown()
            if "timed out" not in str(error).lower() or not tries_left:
                raise
        else:
            return made
    raise AssertionError("unreachable")


def workers() -> list[psutil.Process]:
    """The actors of this package that run on the cluster."""
    return _processes("ray::TrialWorker")


def await_no_workers(seconds: float = 120.0) -> None:
    """Waits until no actor runs any more, nor a process of one."""
    end = time.monotonic() + seconds
    while left := [*workers(), *children()]:
        assert time.monotonic() < end, left
        time.sleep(0.1)


def children() -> list[psutil.Process]:
    """The processes in which actors run trials."""
    return [p for p in _processes("krigetuner.run.local.worker_process") if "RAY_JOB_ID" in p.info["environ"]]


def _processes(name: str) -> list[psutil.Process]:
    """The cluster's processes with a word in their command."""
    found = []
    for process in psutil.process_iter(["cmdline", "environ"]):
        ours = (process.info["environ"] or {}).get("TMPDIR") == os.environ["TMPDIR"]
        if ours and name in " ".join(process.info["cmdline"] or []):
            found.append(process)
    return found
