"""Every task by name, and the groups of them that have a name of their own."""

from __future__ import annotations

from bench.quality.branching import branching
from bench.quality.failing import failing
from bench.quality.tasks import Task, tasks
from bench.quality.trainings import trainings

GROUPS = {"branching": branching, "failing": failing, "trainings": trainings}


def everything() -> dict[str, Task]:
    """All tasks, the groups last."""
    return {**tasks(), **{name: task for group in GROUPS.values() for name, task in group().items()}}


def named(names: list[str]) -> list[str]:
    """The tasks that are meant by names of tasks and of groups, each once."""
    return list(dict.fromkeys(n for name in names for n in (GROUPS[name]() if name in GROUPS else [name])))
