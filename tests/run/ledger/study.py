"""A study of one number, for the tests of the ledger."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from krigetuner.run.ledger import Ledger
from krigetuner.run.messages import Execution
from krigetuner.space.recorder import HyperParameters
from krigetuner.space.space import Space
from krigetuner.store.memory import MemoryStore
from krigetuner.trial.history import Origin
from krigetuner.trial.objective import Objective

LOSS = Objective("val_loss", "min")
RANDOM = Origin("random")


def config(name: str, low: float = 0.0, high: float = 1.0) -> dict[str, Any]:
    conditions: list[Any] = []
    return {
        "class_name": "Float",
        "config": {"name": name, "min_value": low, "max_value": high, "conditions": conditions},
    }


def space(high: float = 1.0, *more: str) -> Space:
    hp = HyperParameters()
    hp.Float("x", 0.0, high)
    for name in more:
        hp.Float(name, 0.0, 1.0, default=0.25)
    return Space(hp.space)


def opened(store: Any = None, **options: Any) -> Ledger:
    ledger = Ledger(MemoryStore() if store is None else store)
    ledger.open("s", LOSS, "random", {"alpha": 1e-4, "max_trials": 9}, seed=7, parameters=[config("x")], **options)
    return ledger


def complete(ledger: Ledger, values: Mapping[str, Any], score: float) -> int:
    record = ledger.asked(values, RANDOM)
    ledger.started(record.number)
    ledger.finished(record.number, [Execution({"val_loss": score}, 1)], {"val_loss": score}, 1, score)
    return record.number
