"""What is told of a `fit` from its text."""

from __future__ import annotations

from typing import Any

import pytest

from krigetuner.adapters.fit_source import history_keywords
from krigetuner.tuners.hypermodel import HyperModel


class Direct(HyperModel):
    def fit(self, hp, model, *args, **kwargs):  # type: ignore[no-untyped-def]
        return model.fit(*args, batch_size=hp.Int("batch", 1, 2), **kwargs)


class Named(HyperModel):
    def fit(self, hp, net, x, y, **kwargs):  # type: ignore[no-untyped-def]
        kwargs["validation_split"] = 0.2
        history = net.fit(x, y, **kwargs)
        return history  # noqa: RET504


class Evaluates(HyperModel):
    def fit(self, hp, model, *args, **kwargs):  # type: ignore[no-untyped-def]
        model.fit(*args, **kwargs)
        return {"score": model.evaluate(*args)}


class Sometimes(HyperModel):
    def fit(self, hp, model, *args, **kwargs):  # type: ignore[no-untyped-def]
        if hp.Boolean("short"):
            return 0.5
        return model.fit(*args, **kwargs)


class Changed(HyperModel):
    def fit(self, hp, model, *args, **kwargs):  # type: ignore[no-untyped-def]
        model = self.build(hp)
        return model.fit(*args, **kwargs)


class Twice(HyperModel):
    def fit(self, hp, model, *args, **kwargs):  # type: ignore[no-untyped-def]
        result = model.fit(*args, **kwargs)
        result = max(result.history["val_accuracy"])
        return result  # noqa: RET504


class Adds(HyperModel):
    def fit(self, hp, model, *args, **kwargs):  # type: ignore[no-untyped-def]
        history = model.fit(*args, **kwargs)
        history.history["f1"] = [0.5]
        return history


class Updates(HyperModel):
    def fit(self, hp, model, *args, **kwargs):  # type: ignore[no-untyped-def]
        history = model.fit(*args, **kwargs)
        history.history.update(f1=[0.5])
        return history


class HandsOver(HyperModel):
    def fit(self, hp, model, *args, **kwargs):  # type: ignore[no-untyped-def]
        history = model.fit(*args, **kwargs)
        self.add_metrics(history)  # type: ignore[attr-defined]
        return history


class Aliases(HyperModel):
    def fit(self, hp, model, *args, **kwargs):  # type: ignore[no-untyped-def]
        history = model.fit(*args, **kwargs)
        columns = history.history
        columns["f1"] = [0.5]
        return history


class Reads(HyperModel):
    def fit(self, hp, model, *args, **kwargs):  # type: ignore[no-untyped-def]
        history = model.fit(*args, **kwargs)
        self.best = min(history.history["val_loss"])
        return history


@pytest.mark.parametrize(
    ("fit", "known", "among"),
    [
        (HyperModel.fit, True, set()),
        (Direct.fit, True, {"batch_size", "batch"}),
        (Named.fit, True, {"validation_split"}),
        (Evaluates.fit, False, set()),
        (Sometimes.fit, False, set()),
        (Changed.fit, False, set()),
        (Twice.fit, False, set()),
        (Adds.fit, False, set()),
        (Updates.fit, False, set()),
        (HandsOver.fit, False, set()),
        (Aliases.fit, False, set()),
        (Reads.fit, True, {"val_loss"}),
        (print, False, set()),
        (lambda self, hp, model: 1.0, False, set()),
    ],
)
def test_whether_the_history_is_returned(fit: Any, known: bool, among: set[str]) -> None:
    found = history_keywords(fit)
    assert (found is not None) is known
    assert among <= (found or set())
