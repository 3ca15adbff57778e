"""Ray's cluster: joined, or started for one search; and how many trials fit into it."""

from __future__ import annotations

import importlib
import importlib.util
import logging
import math
import os
import signal
import threading
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from krigetuner.errors import MissingDependency

NAMED = {"CPU": "num_cpus", "GPU": "num_gpus", "memory": "memory"}
"""Resources that an actor's options name; the others are custom ones."""


def loaded() -> Any:
    """Ray itself."""
    return importlib.import_module("ray")


def require_ray() -> None:
    """Checks that Ray is installed, without loading it.

    Raises:
        MissingDependency: it is not.
    """
    if importlib.util.find_spec("ray") is None:
        raise MissingDependency("executor: Ray is not installed; pip install 'krigetuner[ray]'")


def checked_resources(resources: Mapping[str, float] | None) -> dict[str, float]:
    """The resources of one trial, in Ray's units: {"CPU": 1} for None.

    Raises:
        ValueError: a name is empty, a number is negative or not finite, or none is positive.
    """
    found = {"CPU": 1.0} if resources is None else dict(resources)
    for name, amount in found.items():
        number = isinstance(amount, int | float) and not isinstance(amount, bool)
        if not name or not isinstance(name, str) or not number or not math.isfinite(amount) or amount < 0:
            raise ValueError(
                "resources_per_trial: expected names with numbers of at least 0, such as {'CPU': 2, 'GPU': 0.5}, got "
                f"{name!r}: {amount!r}; correct that entry"
            )
    gpus = found.get("GPU", 0)
    if gpus > 1 and gpus != int(gpus):
        raise ValueError(
            f"resources_per_trial: expected a whole number of GPUs or a fraction below 1, got 'GPU': {gpus!r}; Ray "
            "divides one GPU among trials, not several"
        )
    if not any(found.values()):
        raise ValueError(
            f"resources_per_trial: expected at least one positive number, got {found}; give {{'CPU': 1}}, since "
            "what needs nothing could be started without end"
        )
    return found


def actor_options(resources: Mapping[str, float]) -> dict[str, Any]:
    """The options of an actor that holds these resources."""
    options: dict[str, Any] = {"num_cpus": 0.0}
    options |= {NAMED[name]: amount for name, amount in resources.items() if name in NAMED}
    custom = {name: amount for name, amount in resources.items() if name not in NAMED}
    return {**options, **({"resources": custom} if custom else {})}


def room(resources: Mapping[str, float]) -> int:
    """How many trials of such resources fit into the nodes that are alive, were they empty."""
    ray = loaded()
    count = 0
    for node in ray.nodes():
        have = node["Resources"] if node["Alive"] else {}
        count += min(math.floor(have.get(name, 0.0) / need + 1e-9) for name, need in resources.items() if need)
    return count


def offers() -> str:
    """What the nodes have, for messages."""
    ray = loaded()
    shown = [
        ", ".join(f"{name} {amount:g}" for name, amount in sorted(node["Resources"].items()) if ":" not in name)
        for node in ray.nodes()
        if node["Alive"]
    ]
    return "; ".join(f"{{{text}}}" for text in shown) or "no node"


def join(address: str | None, runtime_env: Mapping[str, Any] | None) -> tuple[bool, bool]:
    """Connects this process with a cluster, unless it is connected.

    Args:
        address: of the cluster; None for what RAY_ADDRESS says, or else a new one of this machine.
        runtime_env: for a new connection.

    Returns:
        Whether the connection is new, and whether the cluster is.

    Raises:
        ConnectionError: there is no cluster at the address.
    """
    ray = loaded()
    if ray.is_initialized():
        return False, False
    where = address or os.environ.get("RAY_ADDRESS") or "local"
    options: dict[str, Any] = {"include_dashboard": False} if where == "local" else {}
    options |= {"runtime_env": dict(runtime_env)} if runtime_env else {}
    try:
        with _termination_kept(), warnings.catch_warnings():
            # of a framework that fears for its threads; the fork becomes a process of Ray's at once
            warnings.filterwarnings("ignore", r"os\.fork\(\) was called", RuntimeWarning)
            ray.init(address=where, log_to_driver=False, logging_level=logging.ERROR, **options)
    except ConnectionError as error:
        raise ConnectionError(
            f"address: expected that of a running Ray cluster, got {where!r} ({error}); start one with "
            "`ray start --head`, or leave the address out for one on this machine"
        ) from error
    return True, where == "local"


def leave() -> None:
    """Ends the connection that `join` made, and with it the cluster that it started."""
    ray = loaded()
    ray.shutdown()


@contextmanager
def _termination_kept() -> Iterator[None]:
    """Keeps the handler of SIGTERM, which `ray.init` replaces by one that would cut a record in two."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    former = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if former is not None:
            signal.signal(signal.SIGTERM, former)
