"""Tuners beside keras_tuner 1.4.8: signatures, methods, what a search does and which errors it raises."""

from __future__ import annotations

import inspect
import os
from pathlib import Path
from typing import Any

import pytest

os.environ.setdefault("PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION", "python")

import krigetuner as kt

pytestmark = [pytest.mark.compat, pytest.mark.filterwarnings("ignore")]


@pytest.fixture
def both(keras_tuner: Any, tmp_path: Path) -> list[tuple[Any, Path]]:
    return [(keras_tuner, tmp_path / "theirs"), (kt, tmp_path / "ours")]


@pytest.mark.parametrize("name", ["RandomSearch", "GridSearch", "BayesianOptimization", "Tuner", "HyperModel"])
def test_the_same_arguments_in_the_same_order_with_the_same_defaults(keras_tuner: Any, name: str) -> None:
    reference = inspect.signature(getattr(keras_tuner, name).__init__).parameters
    ours = inspect.signature(getattr(kt, name).__init__).parameters
    extra = {p.name for p in ours.values() if p.kind is p.KEYWORD_ONLY} - set(reference)
    same = [(p.name, p.default, p.kind) for p in ours.values() if p.name not in extra]
    assert same == [(p.name, p.default, p.kind) for p in reference.values()]


def test_base_tuner_has_the_same_arguments(keras_tuner: Any) -> None:
    reference = list(inspect.signature(keras_tuner.engine.base_tuner.BaseTuner.__init__).parameters.values())
    ours = [
        p
        for p in inspect.signature(kt.BaseTuner.__init__).parameters.values()
        if p.name not in ("storage", "durability")
    ]
    assert [(p.name, p.default) for p in ours] == [(p.name, p.default) for p in reference]


@pytest.mark.parametrize("name", ["Tuner", "RandomSearch", "HyperModel"])
def test_every_public_method_is_there_and_takes_the_same_arguments(keras_tuner: Any, name: str) -> None:
    mine = getattr(kt, name)
    for attribute, reference in inspect.getmembers(getattr(keras_tuner, name)):
        if attribute.startswith("_") or not callable(reference):
            continue
        parameters = list(inspect.signature(reference).parameters)
        assert list(inspect.signature(getattr(mine, attribute)).parameters)[: len(parameters)] == parameters, attribute
    private = {
        "_populate_initial_space",
        "_build_and_fit_model",
        "_try_build",
        "_build_hypermodel",
        "_deepcopy_callbacks",
    }
    if name != "HyperModel":
        assert private <= set(dir(mine))


def run_plain(module: Any, directory: Path, returns: Any, **kwargs: Any) -> Any:
    """A search of a tuner whose run_trial returns what `returns(trial)` gives."""

    class Plain(module.RandomSearch):  # type: ignore[misc, name-defined]
        def run_trial(self, trial: Any, *args: Any, **fit: Any) -> Any:
            return returns(trial)

    hp = module.HyperParameters()
    hp.Int("x", 1, 100)
    tuner = Plain(**{"max_trials": 3, "hyperparameters": hp, "directory": directory, "seed": 2, **kwargs})
    tuner.search(verbose=0)
    return tuner


@pytest.mark.parametrize(
    ("objective", "returns"),
    [
        (None, lambda t: float(t.hyperparameters.get("x"))),
        ("val_loss", lambda t: {"val_loss": 1.0 / t.hyperparameters.get("x"), "loss": 2.0}),
        ("val_accuracy", lambda t: [0.25, 0.5]),
        ("val_accuracy", lambda t: [{"val_accuracy": 0.25}, {"val_accuracy": 0.75}]),
        ("val_loss", lambda t: {"val_loss": 2} if t.trial_id == "1" else 3),
    ],
)
def test_the_same_scores_for_the_same_results(both: Any, objective: Any, returns: Any) -> None:
    found = []
    for module, directory in both:
        tuner = run_plain(module, directory, returns, objective=objective)
        trials = tuner.oracle.get_best_trials(10)
        assert [t.status for t in trials] == ["COMPLETED"] * 3
        name = tuner.oracle.objective.name
        found.append([(t.score == t.metrics.get_best_value(name), t.best_step) for t in trials])
        if returns(trials[0]) in ([0.25, 0.5],):
            assert {t.score for t in trials} == {0.375}
    assert found[0] == found[1]


@pytest.mark.parametrize(
    ("objective", "result"),
    [
        ("val_loss", None),
        ("val_loss", {"loss": 1.0}),
        (None, {"loss": 1.0}),
        ("val_loss", "text"),
        ("val_loss", (1.0, None)),
    ],
)
def test_the_same_errors_for_bad_results(both: Any, objective: Any, result: Any) -> None:
    raised = []
    for module, directory in both:
        with pytest.raises((TypeError, ValueError)) as error:
            run_plain(module, directory, lambda t: result, objective=objective)
        raised.append(type(error.value).__name__)
    assert raised[0] == raised[1]


@pytest.mark.parametrize("retries", [0, 1])
def test_the_same_end_of_failing_trials(both: Any, retries: int) -> None:
    found = []
    for module, directory in both:

        def returns(trial: Any, module: Any = module) -> float:
            if trial.trial_id == "0":
                raise ValueError("bad")
            if trial.trial_id == "1":
                raise module.errors.FailedTrialError("too large")
            return 1.0

        tuner = run_plain(module, directory, returns, objective="loss", max_retries_per_trial=retries)
        trials = tuner.oracle.trials
        found.append([(t.status, "Traceback" in (t.message or "")) for t in (trials["0"], trials["1"], trials["2"])])
        assert tuner.remaining_trials == 0
    assert found[0] == found[1]


def test_too_many_failures_raise_the_same(both: Any) -> None:
    for module, directory in both:

        def returns(trial: Any) -> float:
            raise ValueError("bad")

        with pytest.raises(RuntimeError, match=r"(?i)consecutive failures exceeded the limit of 3"):
            run_plain(module, directory, returns, objective="loss", max_trials=5)


@pytest.mark.parametrize(
    "make",
    [
        lambda m, d: m.Tuner("not an oracle", lambda hp: None, directory=d),
        lambda m, d: m.RandomSearch(objective="loss", directory=d),
        lambda m, d: m.RandomSearch(lambda hp: None, "loss", directory=d, unknown=1),
        lambda m, d: m.RandomSearch(3, "loss", directory=d),
        lambda m, d: m.RandomSearch(lambda hp: None, "unknown_metric", directory=d),
        lambda m, d: m.RandomSearch(lambda hp: None, "loss", directory=d, tune_new_entries=False),
    ],
)
def test_the_same_errors_of_constructors(both: Any, make: Any) -> None:
    raised = []
    for module, directory in both:
        with pytest.raises(ValueError) as error:
            make(module, directory)
        raised.append(type(error.value).__name__)
    assert raised[0] == raised[1]


def test_the_same_space_is_found_by_building(both: Any) -> None:
    def build(hp: Any) -> None:
        kind = hp.Choice("kind", ["a", "b", "c"])
        with hp.conditional_scope("kind", ["b"]):
            if kind == "b" and hp.Boolean("deep"):
                hp.Int("plain_if", 1, 2)
        with hp.conditional_scope("kind", ["c", "b"]), hp.name_scope("sub"):
            hp.Float("rate", 0.1, 1.0, sampling="log")

    spaces = []
    for module, directory in both:
        tuner = module.RandomSearch(build, "val_loss", directory=directory)
        spaces.append([(p.name, type(p).__name__) for p in tuner.oracle.get_space().space])
    assert spaces[0] == spaces[1]


def test_a_keras_search_side_by_side(both: Any) -> None:
    import keras
    import numpy as np

    x = np.random.default_rng(0).normal(size=(64, 3)).astype("float32")

    def build(hp: Any) -> Any:
        model = keras.Sequential([keras.layers.Dense(hp.Int("units", 1, 4)), keras.layers.Dense(1)])
        model.compile("sgd", "mse", metrics=["mae"], run_eagerly=True)
        return model

    names = []
    for module, directory in both:
        tuner = module.RandomSearch(build, "val_mae", max_trials=2, directory=directory, executions_per_trial=2, seed=1)
        tuner.search(x, x[:, :1], validation_data=(x[:16], x[:16, :1]), epochs=2, verbose=0)
        (trial,) = tuner.oracle.get_best_trials()
        names.append(sorted(trial.metrics.metrics))
        model = tuner.get_best_models()[0]
        assert model.evaluate(x[:16], x[:16, :1], verbose=0)[1] <= trial.score + 1e-6  # best execution against the mean
        files = {p.name for p in Path(tuner.get_trial_dir(trial.trial_id)).iterdir()}
        assert {"checkpoint.weights.h5", "build_config.json"} <= files
        assert tuner.get_best_hyperparameters()[0].get("units") == trial.hyperparameters.get("units")
    assert names[0] == names[1]
