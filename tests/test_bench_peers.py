"""The peers of the quality benchmark, where installed: configurations of the task, repeatable, through failures."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import pytest
from bench.quality import run
from bench.quality.catalogue import everything
from bench.quality.contenders import CONTENDERS
from bench.quality.peers import parameters

ROOT = Path(__file__).resolve().parents[1]
TASKS = everything()
PEERS = [name for name, source in CONTENDERS.items() if name not in ("krigetuner", "random") and not source.absent]
ABSENT = [name for name, source in CONTENDERS.items() if source.absent]
KNOWS_CONDITIONS = {"optuna-tpe", "optuna-gp", "kerastuner", "smac", "smac-gp"}

# What the peers warn of is theirs.
pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.slow]


@pytest.mark.skipif(bool(ABSENT), reason=f"not installed, so not tested: {', '.join(ABSENT)}")
def test_every_peer_was_tested() -> None:
    assert len(PEERS) == len(CONTENDERS) - 2


def asked(name: str, task: str, count: int, batch: int) -> list[dict[str, Any]]:
    """What a peer suggests on a task whose every fourth training fails and every fifth diverges."""
    contender = CONTENDERS[name].make(TASKS[task], 3, batch, count)
    found: list[dict[str, Any]] = []
    while len(found) < count:
        tickets = [contender.ask() for _ in range(batch)]
        for ticket, values in tickets:
            loss = math.nan if len(found) % 4 == 3 else math.inf if len(found) % 5 == 4 else float(len(found) % 3)
            found.append(dict(values))
            contender.tell(ticket, loss)
    return found


@pytest.mark.parametrize("name", PEERS)
@pytest.mark.parametrize("task", ["conditional", "diverging", "ackley-switches"])
def test_suggestions_are_configurations_of_the_task(name: str, task: str) -> None:
    listed = parameters(TASKS[task])
    for values in asked(name, task, 8, 1):
        for p in listed:
            active = all(condition.is_active(values) for condition in p.conditions)
            if name in KNOWS_CONDITIONS:
                assert (p.name in values) == active
            if p.name not in values:
                assert not active
            elif hasattr(p, "min_value"):
                assert type(values[p.name]) is (int if p.integer else float)
                assert p.min_value <= values[p.name] <= p.max_value
            else:
                assert any(type(values[p.name]) is type(v) and values[p.name] == v for v in p.values)


@pytest.mark.parametrize("name", PEERS)
def test_a_seed_repeats_a_search(name: str) -> None:
    assert asked(name, "ackley-switches", 8, 1) == asked(name, "ackley-switches", 8, 1)


@pytest.mark.parametrize("name", PEERS)
def test_several_at_a_time_differ(name: str) -> None:
    found = asked(name, "hartmann3", 12, 4)
    assert len(found) == 12
    assert len({str(values) for values in found}) == 12


@pytest.mark.parametrize("name", PEERS)
def test_a_run_comes_to_its_end(name: str) -> None:
    whole = run.play(run.Job(name, None, "branin", 0, 8, 1))
    assert len(whole.best) == 8
    assert whole.best[-1] < math.inf
    assert whole.version == CONTENDERS[name].version


def test_one_version_of_each_peer() -> None:
    pinned = (ROOT / "bench" / "quality" / "peers.txt").read_text().splitlines()
    group = re.search(r"^bench = \[(.*)\]$", (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert group
    assert set(re.findall(r'"([^"]+)"', group[1])) <= set(pinned)
