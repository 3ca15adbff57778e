"""Messages beside KerasTuner's: what one serialises the other reads."""

from __future__ import annotations

from typing import Any

import pytest

import krigetuner
from krigetuner.protos import get_proto

pytestmark = [pytest.mark.compat, pytest.mark.filterwarnings("ignore::DeprecationWarning")]


def fill(hp: Any) -> None:
    """Every kind of parameter, with conditions."""
    hp.Float("rate", 1e-4, 1.0, sampling="log")
    hp.Int("units", 1, 9, step=2, default=3)
    hp.Choice("act", ["relu", "tanh"], default="tanh")
    hp.Boolean("deep", default=True)
    hp.Fixed("kind", "net")
    with hp.conditional_scope("act", ["tanh"]):
        hp.Float("drop", 0.0, 0.5, step=0.25)
    with hp.conditional_scope("units", [5, 7]):
        hp.Choice("size", [3, 5])


def trial_of(kt: Any) -> Any:
    """A finished trial."""
    hp = kt.HyperParameters()
    fill(hp)
    trial = kt.engine.trial.Trial(hp, trial_id="0003", status="COMPLETED")
    trial.metrics.register("val_loss", "min")
    for step, value in enumerate((2.0, 0.5, 1.0)):
        trial.metrics.update("val_loss", value, step=step)
    trial.score, trial.best_step = 0.5, 1
    return trial


def order(text: bytes, kind: Any) -> bytes:
    """The same message with its maps in one order."""
    return bytes(kind.FromString(text).SerializeToString(deterministic=True))


def test_the_bytes_are_the_same(keras_tuner: Any, capsys: pytest.CaptureFixture[str]) -> None:
    ours, theirs = trial_of(krigetuner).to_proto(), trial_of(keras_tuner).to_proto()
    assert order(ours.SerializeToString(), get_proto().Trial) == order(theirs.SerializeToString(), get_proto().Trial)
    assert ours.DESCRIPTOR.full_name == theirs.DESCRIPTOR.full_name


def test_each_reads_the_other(keras_tuner: Any, capsys: pytest.CaptureFixture[str]) -> None:
    ours, theirs = trial_of(krigetuner), trial_of(keras_tuner)
    sent = theirs.to_proto().SerializeToString()
    read = krigetuner.Trial.from_proto(get_proto().Trial.FromString(sent))
    assert read.get_state()["metrics"] == theirs.get_state()["metrics"]
    assert read.hyperparameters.values == theirs.hyperparameters.values
    assert (read.score, read.best_step, read.status) == (0.5, 1, "COMPLETED")
    message = type(theirs.to_proto()).FromString(ours.to_proto().SerializeToString())
    back = keras_tuner.engine.trial.Trial.from_proto(message)
    assert back.get_state()["metrics"] == ours.get_state()["metrics"]
    assert back.hyperparameters.values == ours.hyperparameters.values
    assert {p.name for p in back.hyperparameters.space} == {p.name for p in ours.hyperparameters.space}
    assert [p.name for p in back.hyperparameters.space] == [p.name for p in read.hyperparameters.space]


def test_their_messages_are_read_as_they_are(keras_tuner: Any, capsys: pytest.CaptureFixture[str]) -> None:
    read = krigetuner.Trial.from_proto(trial_of(keras_tuner).to_proto())
    assert read.get_state()["metrics"] == trial_of(krigetuner).get_state()["metrics"]
    assert read.trial_id == "0003"
