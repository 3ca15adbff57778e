"""What chief and workers tell each other, as plain data: results and events."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from krigetuner.run.messages import Execution
from krigetuner.store import events as e


def executions_data(executions: Iterable[Execution]) -> list[Any]:
    """Results of executions."""
    return [[dict(x.metrics), int(x.step)] for x in executions]


def executions_of(data: Iterable[Sequence[Any]]) -> list[Execution]:
    """The results that `executions_data` described."""
    return [Execution(dict(metrics), int(step)) for metrics, step in data]


def event_data(position: int, event: e.Event) -> list[Any]:
    """An event and its position."""
    return [position, *e.encode(event)]


def event_of(data: Sequence[Any]) -> tuple[int, e.Event]:
    """The event that `event_data` described, and its position."""
    position, kind, version, body = data
    return int(position), e.decode(str(kind), int(version), str(body))


def report_data(report: e.TrialReported) -> list[Any]:
    """The metrics of one step."""
    return [report.number, report.attempt, report.execution, report.step, dict(report.metrics), report.time]


def report_of(data: Sequence[Any]) -> e.TrialReported:
    """The metrics that `report_data` described."""
    return e.TrialReported(*data)
