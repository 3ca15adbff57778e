"""Oracles side by side with keras_tuner 1.4.8: signatures, names, the order of a grid, the life of trials."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from krigetuner import oracles
from krigetuner.space.recorder import HyperParameters
from krigetuner.trial.objective import Objective
from krigetuner.tuners.oracle import Oracle
from krigetuner.tuners.trial import Trial

pytestmark = pytest.mark.compat


NAMES = ("RandomSearchOracle", "GridSearchOracle", "BayesianOptimizationOracle")


def positional(function: Any) -> list[tuple[str, Any]]:
    """The arguments that may be given by position, with their defaults."""
    parameters = list(inspect.signature(function).parameters.values())
    return [(p.name, p.default) for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]


@pytest.mark.parametrize("name", [*NAMES, "Oracle"])
def test_constructors_have_the_same_arguments_in_the_same_order(keras_tuner: Any, name: str) -> None:
    theirs = keras_tuner.Oracle if name == "Oracle" else getattr(keras_tuner.oracles, name)
    ours = Oracle if name == "Oracle" else getattr(oracles, name)
    assert positional(ours) == positional(theirs)


@pytest.mark.parametrize("name", [*NAMES, "Oracle", "Trial"])
def test_public_names_are_there(keras_tuner: Any, name: str) -> None:
    if name == "Trial":
        theirs, ours = keras_tuner.engine.trial.Trial(keras_tuner.HyperParameters()), Trial(HyperParameters())
    else:
        theirs_class = keras_tuner.Oracle if name == "Oracle" else getattr(keras_tuner.oracles, name)
        ours_class = Oracle if name == "Oracle" else getattr(oracles, name)
        theirs, ours = theirs_class("val_loss"), ours_class("val_loss")
    absent = {"to_proto", "from_proto", "gpr"}  # protobuf is for its chief and workers; gpr is scikit-learn's object
    public = {n for n in dir(theirs) if not n.startswith("_")} - absent
    assert public <= set(dir(ours))


@pytest.mark.parametrize("method", ["update_space", "get_trial", "get_best_trials", "populate_space", "score_trial"])
def test_methods_have_the_same_arguments(keras_tuner: Any, method: str) -> None:
    theirs, ours = getattr(keras_tuner.Oracle, method), getattr(Oracle, method)
    assert positional(ours) == positional(theirs)


def build_flat(hp: Any) -> None:
    hp.Choice("a", ["x", "y", "z"], default="y")
    hp.Int("b", 2, 6, step=2)
    hp.Boolean("c", default=True)


def build_branches(hp: Any) -> None:
    hp.Choice("kind", ["p", "q"], default="q")
    hp.Int("only_p", 1, 3, parent_name="kind", parent_values=["p"])
    hp.Boolean("last")
    with hp.conditional_scope("kind", ["q"]):
        hp.Choice("only_q", [0.5, 0.25])
        with hp.conditional_scope("only_q", [0.25]):
            hp.Int("deep", 7, 8)


def build_fixed(hp: Any) -> None:
    hp.Fixed("f", 3)
    hp.Int("n", 1, 10, step=3)
    hp.Float("log", 1e-3, 1.0, step=10, sampling="log")


BUILDS = [build_flat, build_branches, build_fixed]


def grid(oracle: Any, trials: int = 60) -> list[dict[str, Any]]:
    """The values that a grid search visits, one trial after the other."""
    seen = []
    for _ in range(trials):
        trial = oracle.create_trial("t")
        if trial.status != "RUNNING":
            break
        seen.append(dict(trial.hyperparameters.values))
        oracle.update_trial(trial.trial_id, {"score": 1.0})
        trial.status = "COMPLETED"
        oracle.end_trial(trial)
    return seen


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("build", BUILDS)
def test_the_order_of_a_grid(keras_tuner: Any, build: Callable[[Any], None], tmp_path: Path) -> None:
    theirs_hp, ours_hp = keras_tuner.HyperParameters(), HyperParameters()
    build(theirs_hp)
    build(ours_hp)
    theirs = keras_tuner.oracles.GridSearchOracle(keras_tuner.Objective("score", "min"), hyperparameters=theirs_hp)
    theirs.verbose = 0
    theirs._set_project_dir(str(tmp_path), "theirs")
    ours = oracles.GridSearchOracle(Objective("score", "min"), hyperparameters=ours_hp)
    expected = grid(theirs)
    assert len(expected) > 4
    assert grid(ours) == expected


def life(oracle: Any) -> list[Any]:
    """A scripted search: completed, failed, retried and parallel trials; what can be seen from outside."""
    log: list[Any] = []

    def note(*extra: Any) -> None:
        log.append(
            (
                {i: t.status for i, t in oracle.trials.items()},
                {w: t.trial_id for w, t in oracle.ongoing_trials.items()},
                list(oracle.start_order),
                list(oracle.end_order),
                oracle.remaining_trials(),
                *extra,
            )
        )

    def end(trial: Any, status: str, value: float | None = None) -> None:
        if value is not None:
            oracle.update_trial(trial.trial_id, {"score": value}, step=1)
        trial.status = status
        oracle.end_trial(trial)
        note(trial.trial_id, trial.status, trial.score, trial.best_step if trial.score is not None else None)

    first, second = oracle.create_trial("w0"), oracle.create_trial("w1")
    note(oracle.create_trial("w0") is first)
    end(first, "COMPLETED", 2.0)
    end(second, "INVALID")
    again = oracle.create_trial("w1")
    note(again.trial_id == second.trial_id, again.hyperparameters.values == second.hyperparameters.values)
    end(again, "INVALID")
    end(oracle.create_trial("w0"), "FAILED")
    late = oracle.create_trial("w0")
    late.hyperparameters.Int("late", 1, 3)
    end(late, "COMPLETED", 1.0)
    note([p.name for p in oracle.get_space().space], [t.trial_id for t in oracle.get_best_trials(2)])
    end(oracle.create_trial("w0"), "COMPLETED", 3.0)
    note(oracle.create_trial("w0").status)
    return log


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_life_of_trials(keras_tuner: Any, tmp_path: Path) -> None:
    theirs_hp, ours_hp = keras_tuner.HyperParameters(), HyperParameters()
    build_flat(theirs_hp)
    build_flat(ours_hp)
    options: dict[str, Any] = {"max_trials": 5, "seed": 1, "max_retries_per_trial": 1}
    theirs = keras_tuner.oracles.RandomSearchOracle(
        keras_tuner.Objective("score", "min"), hyperparameters=theirs_hp, **options
    )
    theirs.verbose = 0
    theirs._set_project_dir(str(tmp_path), "theirs")
    ours = oracles.RandomSearchOracle(Objective("score", "min"), hyperparameters=ours_hp, **options)
    assert life(ours) == life(theirs)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_same_errors(keras_tuner: Any, tmp_path: Path) -> None:
    def messages(kt: Any, objective: Any, hp: Any, name: str) -> list[tuple[type, str]]:
        found = []
        for make in (
            lambda: kt.RandomSearchOracle(objective, tune_new_entries=False),
            lambda: kt.RandomSearchOracle(objective, allow_new_entries=False),
        ):
            with pytest.raises(Exception) as caught:
                make()
            found.append((caught.type, str(caught.value)[:30]))
        oracle = kt.RandomSearchOracle(objective, hyperparameters=hp, max_consecutive_failed_trials=1)
        oracle.verbose = 0
        oracle._set_project_dir(str(tmp_path), name)
        trial = oracle.create_trial("t")
        with pytest.raises(Exception) as caught:
            oracle.update_trial(trial.trial_id, {"other": 1.0})
        found.append((caught.type, str(caught.value)[:70]))
        trial.status = "FAILED"
        with pytest.raises(Exception) as caught:
            oracle.end_trial(trial)
        found.append((caught.type, str(caught.value)[:52]))
        return found

    theirs_hp, ours_hp = keras_tuner.HyperParameters(), HyperParameters()
    build_flat(theirs_hp)
    build_flat(ours_hp)
    theirs = messages(keras_tuner.oracles, keras_tuner.Objective("score", "min"), theirs_hp, "theirs")
    assert messages(oracles, Objective("score", "min"), ours_hp, "ours") == theirs
