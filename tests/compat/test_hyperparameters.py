"""HyperParameters beside KerasTuner's: the same calls, values, configurations, order of the grid, and errors."""

from __future__ import annotations

import itertools
import warnings
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import krigetuner.space as ours

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import keras_tuner

    theirs = keras_tuner.engine.hyperparameters

pytestmark = pytest.mark.compat

DEFINITIONS: list[tuple[str, dict[str, Any]]] = [
    ("Int", {"min_value": 1, "max_value": 10}),
    ("Int", {"min_value": -4, "max_value": 10, "step": 3, "default": 2}),
    ("Int", {"min_value": 2, "max_value": 32, "step": 2, "sampling": "log"}),
    ("Int", {"min_value": 1, "max_value": 1000, "sampling": "log"}),
    ("Int", {"min_value": 1, "max_value": 1000, "sampling": "reverse_log"}),
    ("Int", {"min_value": 7, "max_value": 7}),
    ("Float", {"min_value": 0, "max_value": 1}),
    ("Float", {"min_value": -2.5, "max_value": 1e3, "default": 3.0}),
    ("Float", {"min_value": 0, "max_value": 1, "step": 0.25}),
    ("Float", {"min_value": 1e-4, "max_value": 1e-1, "sampling": "log"}),
    ("Float", {"min_value": 1e-4, "max_value": 1e-1, "sampling": "REVERSE_LOG"}),
    ("Float", {"min_value": 0.5, "max_value": 8, "step": 2, "sampling": "log"}),
    ("Float", {"min_value": 0.5, "max_value": 8, "step": 2, "sampling": "reverse_log"}),
    ("Float", {"min_value": 0, "max_value": 1, "sampling": None}),
    ("Float", {"min_value": 3, "max_value": 3}),
    ("Choice", {"values": ["a", "b", "c"]}),
    ("Choice", {"values": (8, 4, 16), "default": 4}),
    ("Choice", {"values": [0.1, 0.2], "ordered": False}),
    ("Choice", {"values": [True, False]}),
    ("Boolean", {}),
    ("Boolean", {"default": True}),
    ("Fixed", {"value": "x"}),
    ("Fixed", {"value": 0.5}),
]
each = pytest.mark.parametrize(("kind", "arguments"), DEFINITIONS, ids=lambda v: v if isinstance(v, str) else str(v))


def pair(kind: str, arguments: dict[str, Any]) -> tuple[Any, Any]:
    """The same definition in both packages."""
    return getattr(ours, kind)("p", **arguments), getattr(theirs, kind)("p", **arguments)


def close(value: Any) -> Any:
    """Equal, or for floats equal up to rounding."""
    return pytest.approx(value, rel=1e-11, abs=1e-12) if isinstance(value, float) else value


@each
def test_values_and_default(kind: str, arguments: dict[str, Any]) -> None:
    mine, old = pair(kind, arguments)
    assert sorted(mine.values) == [close(v) for v in sorted(old.values)]
    if arguments.get("step") or kind not in ("Int", "Float"):
        assert list(mine.values) == [close(v) for v in old.values]
    assert mine.default == old.default


@each
def test_configuration_is_read_by_both(kind: str, arguments: dict[str, Any]) -> None:
    mine, old = pair(kind, arguments)
    if arguments.get("sampling", "") is not None:
        assert ours.serialize(mine) == theirs.serialize(old)
    assert theirs.deserialize(ours.serialize(mine)).get_config() == mine.get_config()
    assert ours.deserialize(theirs.serialize(old)).get_config() == mine.get_config()


@each
@given(prob=st.floats(0, 1, exclude_max=True))
@settings(max_examples=50)
def test_probabilities(kind: str, arguments: dict[str, Any], prob: float) -> None:
    mine, old = pair(kind, arguments)
    value = mine.prob_to_value(prob)
    # at an edge between two values rounding decides, and at 1 it takes KerasTuner beyond the range
    near = [old.prob_to_value(min(max(prob + by, 0.0), 1.0 - 1e-9)) for by in (0.0, -1e-9, 1e-9)]
    assert any(value == (v if isinstance(v, str | int) else pytest.approx(v, rel=1e-6)) for v in near)
    assert mine.value_to_prob(value) == pytest.approx(old.value_to_prob(value), abs=1e-12)


@each
def test_samples_of_a_seed(kind: str, arguments: dict[str, Any]) -> None:
    mine, old = pair(kind, arguments)
    for seed in range(50):
        assert mine.random_sample(seed) == close(old.random_sample(seed))


def network(hp: Any) -> list[Any]:
    """A build function's questions, with the answers."""
    answers = [hp.Choice("model", ["mlp", "cnn"], default="cnn"), hp.Float("lr", 1e-4, 1e-1, sampling="log")]
    with hp.conditional_scope("model", ["mlp"]):
        answers.append(hp.Int("layers", 1, 3))
        for i in range(3):
            with hp.conditional_scope("layers", list(range(i + 1, 4))):
                answers.append(hp.Int(f"units_{i}", 32, 128, step=32))
    with hp.conditional_scope("model", ["cnn"]), hp.name_scope("cnn"):
        answers += [hp.Int("filters", 8, 64, step=2, sampling="log"), hp.Boolean("pool")]
        answers.append(hp.Float("rate", 0, 0.5, step=0.25, parent_name="pool", parent_values=[True]))
    return [*answers, hp.Fixed("epochs", 3), hp.get("model"), "layers" in hp, hp.is_active("layers")]


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"model": "mlp", "layers": 2, "units_0": 64},
        {"model": "cnn", "cnn/pool": True, "cnn/rate": 0.25, "lr": 0.01},
        {"model": "mlp", "layers": 3},
    ],
)
def test_a_build_function_gets_the_same_answers(values: dict[str, Any]) -> None:
    mine, old = ours.HyperParameters(), keras_tuner.HyperParameters()
    mine.values, old.values = dict(values), dict(values)
    assert network(mine) == network(old)
    assert mine.values == old.values
    assert mine.get_config() == old.get_config()
    assert [str([c.get_config() for c in s]) for s in mine.active_scopes] == [
        str([c.get_config() for c in s]) for s in old.active_scopes
    ]
    assert len(mine.inactive_scopes) == len(old.inactive_scopes)
    assert network(mine.copy()) == network(old.copy())
    assert ours.HyperParameters.from_config(old.get_config()).get_config() == old.get_config()


def test_merge_and_ensure_active_values() -> None:
    results = []
    for make in (ours.HyperParameters, keras_tuner.HyperParameters):
        hp, other = make(), make()
        hp.Int("a", 0, 100)
        hp.Fixed("b", 2)
        other.Int("a", 5, 9)
        other.Choice("c", ["x", "y"], default="y")
        hp.merge(other, overwrite=False)
        first = dict(hp.values)
        hp.merge(other)
        hp.Int("d", 1, 1, parent_name="c", parent_values="x")
        hp.values["c"] = "x"
        hp.ensure_active_values()
        results.append((first, hp.values))
    assert results[0] == results[1]


def grid(oracle: Any, trials: int) -> list[dict[str, Any]]:
    """The values of an oracle's first trials, each ended as soon as it was made."""
    found = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # KerasTuner's use of threading is deprecated
        for _ in range(trials):
            trial = oracle.create_trial("tuner")
            if trial.status == "STOPPED":
                break
            oracle.update_trial(trial.trial_id, {"score": 1.0})
            trial.status = "COMPLETED"
            oracle.end_trial(trial)
            found.append(dict(trial.hyperparameters.values))
    return found


def conditional(hp: Any) -> None:
    """Branches of different depth, defaults that are not the first values."""
    hp.Choice("model", ["mlp", "cnn"], default="cnn")
    with hp.conditional_scope("model", ["mlp"]):
        hp.Int("layers", 1, 2)
        with hp.conditional_scope("layers", [2]):
            hp.Choice("units", [8, 16, 32], default=16)
    hp.Boolean("pool", parent_name="model", parent_values=["cnn"])
    hp.Float("rate", 0, 0.5, step=0.25, default=0.25)


def plain(hp: Any) -> None:
    """All kinds, a default beside the steps included."""
    hp.Int("n", 0, 10, step=4, default=5)
    hp.Int("k", 2, 8, step=2, sampling="log", default=4)
    hp.Fixed("f", 1)
    hp.Float("r", 1, 4, step=2, sampling="reverse_log")
    hp.Boolean("z", default=True)


@pytest.mark.parametrize("build", [conditional, plain])
def test_grid_order(build: Any, tmp_path: Any) -> None:
    mine, old = ours.HyperParameters(), keras_tuner.HyperParameters()
    build(mine)
    build(old)
    oracle = keras_tuner.oracles.GridSearchOracle(objective=keras_tuner.Objective("score", "max"), hyperparameters=old)
    oracle.verbose = 0
    oracle._set_project_dir(str(tmp_path), "grid")
    expected = grid(oracle, 500)
    space = ours.Space(mine.space)
    assert list(space.enumerate()) == expected
    assert space.size == len(expected)
    for values, after in itertools.pairwise(expected):
        assert space.successor(values) == after


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda hp: hp.Int("p", 5, 1), "is greater than the max_value"),
        (lambda hp: hp.Float("p", 5, 1), "is greater than the max_value"),
        (lambda hp: hp.Int("p", 0.5, 1), "min_value must be an int"),
        (lambda hp: hp.Int("p", 0, 1, step=0.5), "step must be an int"),
        (lambda hp: hp.Float("p", 0, 1, sampling="log"), "does not support negative values"),
        (lambda hp: hp.Float("p", 1, 2, sampling="x"), "sampling must be one of"),
        (lambda hp: hp.Float("p", 1, 9, step=1, sampling="log"), "expected step > 1 with sampling"),
        (lambda hp: hp.Choice("p", []), "`values` must be provided"),
        (lambda hp: hp.Choice("p", [1, "a"]), "can contain only one type of value"),
        (lambda hp: hp.Choice("p", [None]), "can contain only `int`, `float`, `str`, or `bool`"),
        (lambda hp: hp.Choice("p", [1, 2], default=3), "The default value should be one of the choices"),
        (lambda hp: hp.Choice("p", ["a"], ordered=True), "`ordered` must be `False` for non-numeric types"),
        (lambda hp: hp.Boolean("p", default="x"), "`default` must be a Python boolean"),
        (lambda hp: hp.Fixed("p", None), "`Fixed` value must be an `int`, `float`, `str`, or `bool`"),
        (lambda hp: hp.get("p"), "p does not exist"),
        (lambda hp: hp["p"], "p does not exist"),
        (lambda hp: hp.Int("p", 1, 2, parent_name="q", parent_values=[1]), "`HyperParameter` named: q not defined"),
        (
            lambda hp: (hp.Boolean("q"), hp.Int("q", 1, 2, parent_name="q", parent_values=[True])),
            "cannot have the same",
        ),
        (
            lambda hp: (hp.Boolean("q"), hp.Int("p", 1, 2, parent_name="q", parent_values=[None])),
            "Can contain only",
        ),
        (
            lambda hp: (hp.Boolean("q"), hp.Int("p", 1, 2, None, "linear", None, "q", [True]), hp.get("p")),
            "p is currently inactive",
        ),
    ],
)
def test_the_same_errors(call: Any, text: str) -> None:
    caught = []
    for make in (ours.HyperParameters, keras_tuner.HyperParameters):
        with pytest.raises((ValueError, TypeError, KeyError), match=text) as error:
            call(make())
        caught.append(error.type)
    assert caught[0] is caught[1]


def test_what_is_deliberately_different() -> None:
    """KerasTuner's faults that ours does not have; when one of these fails, KerasTuner has changed."""
    mine, old = pair("Float", {"min_value": 0, "max_value": 1, "step": 0.1})
    assert (len(list(old.values)), len(mine.values)) == (10, 11)
    assert old.prob_to_value(old.value_to_prob(0.5)) != 0.5
    assert mine.prob_to_value(mine.value_to_prob(0.5)) == 0.5
    mine, old = pair("Int", {"min_value": 1, "max_value": 9, "step": 3, "sampling": "log"})
    assert type(next(iter(old.values))) is float
    assert type(mine.values[0]) is int
    theirs.Choice("p", [1, 1])
    with pytest.raises(ValueError, match="list \\[1\\] once"):
        ours.Choice("p", [1, 1])
    hp, other = keras_tuner.HyperParameters(), keras_tuner.HyperParameters()
    hp.Int("a", 1, 2)
    other.Int("a", 1, 3)
    hp.merge(other)
    assert len(hp.space) == 2
    left = []
    for make in (ours.HyperParameters, keras_tuner.HyperParameters):
        hp = make()
        hp.Choice("model", ["mlp", "cnn"])
        hp.Int("units", 1, 3, parent_name="model", parent_values=["mlp"])
        hp.Int("units", 4, 5, parent_name="model", parent_values=["cnn"])
        hp.ensure_active_values()
        left.append(set(hp.values))
    assert left == [{"model", "units"}, {"model"}]
