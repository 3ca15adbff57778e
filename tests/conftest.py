"""What every test shares: a fixed hypothesis profile, Ctrl-C, and a line that says which backends are here."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from tests.postgresql import Server

settings.register_profile(
    "fixed",
    deadline=None,
    derandomize=True,
    max_examples=25,
    # contract classes are inherited: one law, several backends
    suppress_health_check=[HealthCheck.differing_executors, HealthCheck.too_slow],
)
settings.register_profile("long", parent=settings.get_profile("fixed"), derandomize=False, max_examples=500)
settings.load_profile("fixed")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # a shell's background job ignores Ctrl-C, and so would every process that a test starts
    signal.signal(signal.SIGINT, signal.default_int_handler)
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # before anything imports it


def pytest_report_header(config: pytest.Config) -> list[str]:
    from krigetuner.backend import registry

    absent = registry.why_absent()
    present = [name for name in registry.BACKENDS if name not in absent]
    return [f"krigetuner backends: {', '.join(present)}", *(f"  absent: {name}: {why}" for name, why in absent.items())]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """With KRIGETUNER_EXPECT_CUDA a test that needs a GPU and was skipped has failed, but for a judge's want."""
    report = yield
    expected = os.environ.get("KRIGETUNER_EXPECT_CUDA") and item.get_closest_marker("gpu")
    if expected and report.skipped and "is not installed" not in str(report.longrepr):
        report.outcome = "failed"
    return report


@pytest.fixture(autouse=True)
def _log_as_it_was() -> Iterator[None]:
    """A test that turns the logs off for its whole process would take the messages from those behind it."""
    before = logging.root.manager.disable, logging.root.level
    yield
    assert (logging.root.manager.disable, logging.root.level) == before


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Server]:
    """A PostgreSQL server that runs; tests that stop it start it again. Skips where none is installed."""
    from tests.postgresql import Server, why_not

    reason = why_not()
    if reason is not None:
        if os.environ.get("KRIGETUNER_REQUIRE_POSTGRESQL"):
            pytest.fail(reason)
        pytest.skip(reason)
    server = Server()
    try:
        server.start("fsync=off")  # a killed server loses nothing by that, a power cut would
        yield server
    finally:
        server.remove()
