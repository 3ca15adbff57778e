"""Hooks of a Keras tuner: loops of KerasTuner 1.0 that call them by hand, models they save, loggers that are told."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from krigetuner.errors import FatalTypeError, KrigeTunerWarning
from krigetuner.space.recorder import HyperParameters
from krigetuner.trial.metrics import MetricHistory
from krigetuner.tuners.builtin_oracles import RandomSearchOracle
from krigetuner.tuners.classes import RandomSearch
from krigetuner.tuners.trial import Trial
from krigetuner.tuners.tuner import Tuner

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras with numpy 2

X = np.linspace(-1, 1, 8, dtype="float32")[:, None]
Y = 2 * X
LOSSES = [0.7, 0.3, 0.5]
Make = Callable[..., Any]


def build(hp: HyperParameters) -> Any:
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
    model.compile(keras.optimizers.SGD(hp.Float("rate", 0.01, 0.3)), "mse", run_eagerly=True)
    return model


def marked(model: Any, value: float) -> Any:
    """The model with one known weight."""
    model.set_weights([np.array([[value]], dtype="float32")])
    return model


def weight(model: Any) -> float:
    return float(np.squeeze(model.get_weights()[0]))


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    tuners: list[Tuner] = []

    def maker(cls: Any = RandomSearch, hypermodel: Any = build, objective: Any = "loss", **kwargs: Any) -> Any:
        for tuner in tuners:
            tuner.oracle.close()
        kwargs = {"directory": tmp_path, "max_trials": 1, **kwargs}
        tuners.append(cls(hypermodel, objective, **kwargs))
        return tuners[-1]

    yield maker
    for tuner in tuners:
        tuner.oracle.close()


class Loop(RandomSearch):
    """A training loop as KerasTuner 1.0 has it in its tutorials."""

    returned: Any = None
    told: Mapping[str, Any] = {}

    def run_trial(self, trial: Trial, *args: Any, **kwargs: Any) -> Any:
        model = self.hypermodel.build(trial.hyperparameters)
        for epoch, loss in enumerate(LOSSES):
            self.on_epoch_begin(trial, model, epoch, logs={})
            self.on_batch_begin(trial, model, 0, logs={})
            marked(model, epoch)
            self.on_batch_end(trial, model, 0, logs={"loss": loss})
            self.on_epoch_end(trial, model, epoch, logs={"loss": np.float32(loss), **self.told})
            if model.stop_training:
                break
        return self.returned


def test_a_loop_that_calls_the_hooks_and_returns_nothing(make: Make) -> None:
    tuner = make(Loop)
    with pytest.warns(DeprecationWarning, match=r"to be returned, got them through on_epoch_end\(\)"):
        tuner.search(verbose=0)
    (trial,) = tuner.oracle.get_best_trials()
    assert trial.score == pytest.approx(0.3)
    assert trial.best_step == 1
    assert tuner.history()["loss"].tolist() == pytest.approx(LOSSES)
    assert weight(tuner.get_best_models()[0]) == 1.0


@pytest.mark.parametrize("returned", [0.25, {"loss": 0.25}])
def test_what_such_a_loop_returns_comes_first(make: Make, returned: Any) -> None:
    class Returns(Loop):
        pass

    Returns.returned = returned
    tuner = make(Returns)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "run_trial")
        tuner.search(verbose=0)
    assert tuner.oracle.trials["0"].score == 0.25
    assert tuner.history()["loss"].tolist() == pytest.approx(LOSSES)


@pytest.mark.filterwarnings("ignore:run_trial. expected the metrics to be returned:DeprecationWarning")
@pytest.mark.parametrize("step", [0, 7])
@pytest.mark.parametrize("workers", [None, 1])
def test_what_such_a_loop_gives_to_the_oracle_itself_comes_before_its_epochs(
    make: Make, step: int, workers: int | None
) -> None:
    class Averages(Loop):
        def run_trial(self, trial: Trial, *args: Any, **kwargs: Any) -> None:
            super().run_trial(trial)
            self.oracle.update_trial(trial.trial_id, {"loss": 0.8, "other": 1.0}, step=step)
            self.oracle.update_trial(trial.trial_id, {"loss": 0.6, "other": 3.0}, step=step)

    tuner = make(Averages)
    tuner.search(verbose=0, workers=workers)
    (trial,) = tuner.oracle.get_best_trials()
    assert (trial.score, trial.best_step) == (pytest.approx(0.7), step)
    assert trial.metrics.get_best_value("other") == 2.0
    assert sorted(tuner.history()["loss"]) == pytest.approx(sorted([*LOSSES, 0.8, 0.6]))


def test_an_epoch_that_is_told_costs_the_same_after_many(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[int] = []
    ordered = MetricHistory.get_history

    def counted(history: MetricHistory) -> Any:
        looked.append(len(history._observations))
        return ordered(history)

    class Long(RandomSearch):
        def run_trial(self, trial: Trial, *args: Any, **kwargs: Any) -> float:
            monkeypatch.setattr(MetricHistory, "get_history", counted)
            for epoch in range(20):
                self.on_epoch_end(trial, object(), epoch, logs={"loss": 1.0 / (1 + epoch)})
            monkeypatch.undo()
            return 0.5

    make(Long).search(verbose=0)
    assert sum(looked) <= 20  # all that there is, at most once


def test_logs_without_the_objective_are_recorded_only(make: Make) -> None:
    class Returns(Loop):
        returned = 0.25

    tuner = make(Returns, objective="val_loss")
    tuner.search(verbose=0)
    assert tuner.oracle.trials["0"].score == 0.25
    assert tuner.history()["loss"].tolist() == pytest.approx(LOSSES)
    with pytest.raises(FatalTypeError, match=r"Loop.run_trial\(\) is None"):
        make(Loop, objective="val_loss", project_name="none").search(verbose=0)


def test_logs_with_several_values_leave_those_out(make: Make) -> None:
    class Told(Loop):
        told = {"per_class": np.ones(3), "name": "x", "tensor": keras.ops.convert_to_tensor(2.0)}  # noqa: RUF012

    tuner = make(Told)
    with pytest.warns(DeprecationWarning, match="to be returned"):
        tuner.search(verbose=0)
    table = tuner.history()
    assert table["tensor"].tolist() == [2.0] * 3
    assert not {"per_class", "name"} & set(table.columns)


@pytest.mark.parametrize("answer", ["trial", "status"])
def test_an_oracle_may_stop_the_loop(make: Make, answer: str) -> None:
    class Impatient(RandomSearchOracle):
        def update_trial(self, trial_id: str, metrics: Mapping[str, Any], step: int = 0) -> Any:
            trial = super().update_trial(trial_id, metrics, step)
            if step == 1:
                trial.status = "STOPPED"
            return trial if answer == "trial" else trial.status

    class Own(Tuner):
        run_trial = Loop.run_trial
        returned, told = None, {}

    tuner = make(lambda hypermodel, objective, max_trials, **kwargs: Own(Impatient(objective, 1), hypermodel, **kwargs))
    with pytest.warns(DeprecationWarning, match="to be returned"):
        tuner.search(verbose=0)
    assert tuner.history()["loss"].tolist() == pytest.approx(LOSSES[:2])
    assert tuner.oracle.trials["0"].status == "COMPLETED"


def test_the_simplest_example_of_the_old_page(make: Make) -> None:
    class MyTuner(RandomSearch):
        def run_trial(self, trial: Trial, x: Any, y: Any, val_x: Any, val_y: Any) -> Any:
            model = self.hypermodel.build(trial.hyperparameters)
            model.fit(x, y, verbose=0)
            loss = model.evaluate(val_x, val_y, verbose=0)
            self.oracle.update_trial(trial.trial_id, {"loss": loss})
            self.save_model(trial.trial_id, model)

    tuner = make(MyTuner, max_trials=2)
    with pytest.warns(DeprecationWarning, match=r"self.oracle.update_trial\(\), which is deprecated"):
        tuner.search(X, Y, X, Y)
    (model,) = tuner.get_best_models()
    assert model.evaluate(X, Y, verbose=0) == pytest.approx(tuner.oracle.get_best_trials()[0].score, rel=1e-5)


def test_a_run_that_forgets_to_return_what_super_gave(make: Make) -> None:
    class Batches(RandomSearch):
        def run_trial(self, trial: Trial, *args: Any, **kwargs: Any) -> None:
            kwargs["batch_size"] = trial.hyperparameters.Int("batch_size", 2, 8)
            super().run_trial(trial, *args, **kwargs)

    tuner = make(Batches, executions_per_trial=2)
    with pytest.warns(DeprecationWarning, match=r"those of super\(\).run_trial\(\) are used, return them"):
        tuner.search(X, Y, epochs=1, verbose=0)
    assert len(tuner.oracle.trials["0"].executions) == 2


@pytest.mark.parametrize("saved_first", [True, False])
def test_saving_each_step_by_hand_keeps_the_best(make: Make, saved_first: bool) -> None:
    class Steps(RandomSearch):
        def run_trial(self, trial: Trial, *args: Any, **kwargs: Any) -> None:
            model = self.hypermodel.build(trial.hyperparameters)
            for step, loss in enumerate(LOSSES):
                marked(model, step)
                if saved_first:
                    self.save_model(trial.trial_id, model, step=step)
                self.oracle.update_trial(trial.trial_id, {"loss": loss}, step=step)
                if not saved_first:
                    self.save_model(trial.trial_id, model, step=step)

    tuner = make(Steps)
    with pytest.warns(DeprecationWarning, match="to be returned"):
        tuner.search()
    assert weight(tuner.get_best_models()[0]) == 1.0
    files = {p.name for p in Path(tuner.get_trial_dir("0")).iterdir()}
    assert files <= {"checkpoint.weights.h5", "build_config.json"}


def test_the_last_model_counts_when_no_step_was_reported(make: Make) -> None:
    class Returns(RandomSearch):
        def run_trial(self, trial: Trial, *args: Any, **kwargs: Any) -> float:
            model = self.hypermodel.build(trial.hyperparameters)
            for step in range(3):
                self.save_model(trial.trial_id, marked(model, step), step)
            return 0.5

    tuner = make(Returns)
    tuner.search()
    assert weight(tuner.get_best_models()[0]) == 2.0


def test_models_saved_and_loaded_in_ones_own_way(make: Make) -> None:
    saved: dict[int, float] = {}

    class Own(Loop):
        def save_model(self, trial_id: str, model: Any, step: int = 0) -> None:
            saved[step] = weight(model)

        def load_model(self, trial: Trial) -> Any:
            return marked(self.hypermodel.build(trial.hyperparameters), saved[trial.best_step])

    tuner = make(Own)
    with pytest.warns(DeprecationWarning, match="to be returned"):
        tuner.search()
    assert saved == {0: 0.0, 1: 1.0, 2: 2.0}
    assert weight(tuner.get_best_models()[0]) == 1.0


def test_models_of_other_kinds_pass_through_the_hooks(make: Make, tmp_path: Path) -> None:
    class Other(RandomSearch):
        def run_trial(self, trial: Trial, *args: Any, **kwargs: Any) -> float:
            for model in (None, object()):
                self.on_epoch_end(trial, model, 0)
            return 0.5

    tuner = make(Other)
    tuner.search()
    assert tuner.oracle.trials["0"].score == 0.5
    tuner.on_epoch_end(tuner.oracle.trials["0"], None, 0, {"loss": 9.0})  # outside of a run: nothing
    assert tuner.oracle.trials["0"].score == 0.5


class Diary:
    """A logger; any object with the four methods serves."""

    def __init__(self, broken: str = "") -> None:
        self.lines: list[tuple[str, Any]] = []
        self.broken = broken

    def _write(self, method: str, *news: Any) -> None:
        if method == self.broken:
            raise OSError("the tracker is down")
        self.lines.append((method, json.loads(json.dumps(news))))

    def register_tuner(self, tuner_state: Any) -> None:
        self._write("register_tuner", tuner_state)

    def register_trial(self, trial_id: str, trial_state: Any) -> None:
        self._write("register_trial", trial_id, trial_state)

    def report_trial_state(self, trial_id: str, trial_state: Any) -> None:
        self._write("report_trial_state", trial_id, trial_state)

    def exit(self) -> None:
        self._write("exit")


def logged(make: Make, logger: Any, cls: Any, **kwargs: Any) -> Any:
    with pytest.warns(DeprecationWarning, match="`logger` argument is no longer supported by KerasTuner"):
        return make(cls, logger=logger, **kwargs)


class Quick(RandomSearch):
    def run_trial(self, trial: Trial, *args: Any, **kwargs: Any) -> Any:
        if trial.trial_id == "1":
            raise ValueError("one that fails")
        return {"loss": 0.5}


def test_a_logger_is_told_of_the_search_and_its_trials(make: Make) -> None:
    diary = Diary()
    tuner = logged(make, diary, Quick, max_trials=2)
    tuner.search(verbose=0)
    names = [name for name, _ in diary.lines]
    assert names == ["register_tuner", *["register_trial", "report_trial_state"] * 2, "exit"]
    assert diary.lines[0][1][0]["objective"] == "loss"
    assert diary.lines[1][1][0] == "0"
    assert "rate" in diary.lines[1][1][1]["hyperparameters"]["values"]
    first, second = (news[1] for name, news in diary.lines if name == "report_trial_state")
    assert (first["status"], first["score"]) == ("COMPLETED", 0.5)
    assert second["status"] == "FAILED"
    assert "one that fails" in second["message"]


def test_a_logger_hears_of_an_interruption(make: Make) -> None:
    class Cut(RandomSearch):
        def run_trial(self, trial: Trial, *args: Any, **kwargs: Any) -> Any:
            raise KeyboardInterrupt

    diary = Diary()
    tuner = logged(make, diary, Cut)
    with pytest.raises(KeyboardInterrupt):
        tuner.search(verbose=0)
    assert [name for name, _ in diary.lines][-2:] == ["report_trial_state", "exit"]
    assert diary.lines[-2][1][1]["status"] == "INTERRUPTED"


def test_a_logger_that_fails_does_not_end_the_search(make: Make) -> None:
    diary = Diary(broken="register_trial")
    tuner = logged(make, diary, Quick, max_trials=3)
    with pytest.warns(KrigeTunerWarning, match=r"(?s)register_trial\(\) to return.*the tracker is down") as found:
        tuner.search(verbose=0)
    assert len([w for w in found if issubclass(w.category, KrigeTunerWarning)]) == 1
    assert [name for name, _ in diary.lines] == ["register_tuner", *["report_trial_state"] * 3, "exit"]


def test_a_logger_without_the_methods_is_ignored(make: Make) -> None:
    with pytest.warns(DeprecationWarning, match="has none of register_tuner, .*exit, so it is ignored"):
        tuner = make(Quick, logger=object())
    tuner.search(verbose=0)
    assert tuner.oracle.trials["0"].status == "COMPLETED"
