"""Keras trials in worker processes: what is gone on from after a death, and after a result that was not recorded."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import keras
import pytest
from tests.adapters.keras_model import FIT, Make, X, Y

from krigetuner.adapters import checkpoints
from krigetuner.errors import StoreError

pytestmark = pytest.mark.filterwarnings("ignore")


class Ends(keras.callbacks.Callback):
    """Notes the epochs in a file; the first attempt ends before the third."""

    def __init__(self, noted: Path, how: str) -> None:
        super().__init__()
        self.noted, self.how = noted, how

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        checkpoints.SHARE = 1e9  # in the worker: every epoch is saved
        ended = self.noted.with_suffix(".ended")
        if epoch == 2 and not ended.exists():
            ended.touch()
            if self.how == "raises":
                raise ValueError("bad data")
            os.kill(os.getpid(), signal.SIGKILL)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        with self.noted.open("a") as file:
            file.write(str(epoch))


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL here")
@pytest.mark.parametrize(
    ("how", "retries", "epochs"), [("dies", 1, "0123"), ("raises", 1, "010123"), ("dies", 0, "01")]
)
def test_a_retry_goes_on_where_the_process_died(
    how: str, retries: int, epochs: str, make: Make, tmp_path: Path
) -> None:
    noted = tmp_path / "epochs"
    tuner = make(max_retries_per_trial=retries)
    tuner.search(X, Y, epochs=4, callbacks=[Ends(noted, how)], workers=1, **FIT)
    assert noted.read_text() == epochs
    assert [t.status for t in tuner.oracle.trials.values()] == ["COMPLETED" if retries else "FAILED"]
    assert not list(Path(tuner.get_trial_dir("0")).glob("training*"))


def test_a_result_of_a_worker_that_could_not_be_recorded_is_not_trained_again(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise StoreError("the disk is full")

    noted, fit = tmp_path / "epochs", {**FIT, "epochs": 2, "workers": 1}
    tuner = make()
    with monkeypatch.context() as patched:
        patched.setattr(tuner.oracle._ledger, "finished", refuse)
        with pytest.raises(StoreError, match="the disk is full"):
            tuner.search(X, Y, callbacks=[Ends(noted, "not at all")], **fit)
    tuner = make()
    tuner.search(X, Y, callbacks=[Ends(noted, "not at all")], **fit)
    assert noted.read_text() == "01"
    assert [t.status for t in tuner.oracle.trials.values()] == ["COMPLETED"]
    assert not list(Path(tuner.get_trial_dir("0")).glob("training*"))
