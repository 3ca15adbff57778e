"""Messages of KerasTuner's protocol: round trips, known bytes, and what cannot be expressed."""

from __future__ import annotations

import builtins
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import krigetuner as kt
from krigetuner.engine import conditions, hyperparameters
from krigetuner.engine.metrics_tracking import MetricHistory, MetricObservation, MetricsTracker
from krigetuner.engine.trial import Trial, TrialStatus
from krigetuner.protos import definitions, get_proto


def space() -> kt.HyperParameters:
    """Every kind of parameter, conditions of every type, names with scopes."""
    hp = kt.HyperParameters()
    hp.Fixed("kind", "net")
    hp.Float("rate", 1e-4, 1.0, sampling="log")
    hp.Int("units", -3, 9, step=3, default=3)
    hp.Int("width", 2, 64, step=2, sampling="log")
    hp.Choice("act", ["relu", "tanh"], default="tanh")
    hp.Choice("size", [3, 5])
    hp.Boolean("deep", default=True)
    with hp.name_scope("a"):
        hp.Int("b", 0, 1)
    with hp.conditional_scope("act", ["tanh"]), hp.conditional_scope("units", [3, 6]):
        hp.Float("drop", 0.0, 0.5, step=0.25, sampling="linear")
    with hp.conditional_scope("deep", [False]):
        hp.Fixed("seven", 7)
        hp.Fixed("half", 0.5)
        hp.Fixed("no", False)
    return hp


def space_in_scope() -> kt.HyperParameters:
    hp = kt.HyperParameters()
    hp.Boolean("deep", default=True)
    return hp


KINDS = list(hyperparameters.HyperParameters.from_config(space().get_config()).space)


@pytest.mark.parametrize("parameter", KINDS, ids=lambda p: p.name)
def test_a_parameter_comes_back(parameter: Any) -> None:
    again = type(parameter).from_proto(type(parameter.to_proto()).FromString(parameter.to_proto().SerializeToString()))
    assert type(again) is type(parameter)
    assert again.get_config() == parameter.get_config()
    assert parameter.to_proto().DESCRIPTOR.full_name == f"keras_tuner.{type(parameter).__name__}"


def test_a_space_comes_back_grouped_by_kind() -> None:
    before = space()
    after = kt.HyperParameters.from_proto(before.to_proto())
    by_name = {p.name: p.get_config() for p in before.space}
    assert {p.name: p.get_config() for p in after.space} == by_name
    assert after.values == before.values
    assert [type(p).__name__ for p in after.space] == [
        *["Fixed"] * 4, *["Float"] * 2, *["Int"] * 3, *["Choice"] * 2, "Boolean",
    ]  # fmt: skip
    again = kt.HyperParameters.from_proto(after.to_proto())
    assert again.get_config() == after.get_config()


def test_values_alone_are_fixed() -> None:
    values = get_proto().HyperParameters.Values()
    values.values["rate"].float_value = 0.5
    values.values["deep"].boolean_value = True
    hp = kt.HyperParameters.from_proto(values)
    assert hp.values == {"rate": 0.5, "deep": True}
    assert {p.name: type(p) for p in hp.space} == {"rate": hyperparameters.Fixed, "deep": hyperparameters.Fixed}


def test_known_bytes() -> None:
    # By hand from the encoding of protocol buffers: field 1 of length 1, then zigzag 3 and 4 at fields 2 and 3.
    parameter = hyperparameters.Int("n", -2, 2)
    assert parameter.to_proto().SerializeToString() == bytes(
        [0x0A, 1, ord("n"), 0x10, 3, 0x18, 4, 0x20, 2, 0x28, 1, 0x30, 3]
    )
    message = get_proto().Trial(trial_id="7", status=get_proto().TrialStatus.COMPLETED)
    assert message.SerializeToString() == bytes([0x12, 1, ord("7"), 0x18, 5])


def test_a_condition_comes_back() -> None:
    for values in (["a", "b"], [1, 2], [0.5], [True]):
        condition = conditions.Parent("p", values)
        again = conditions.Condition.from_proto(condition.to_proto())
        assert again == condition
        assert [type(v) for v in again.values] == [type(v) for v in values]  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match="Unrecognized condition: expected one with a parent, got None"):
        conditions.Condition.from_proto(get_proto().Condition())


def tracker() -> MetricsTracker:
    metrics = MetricsTracker()
    metrics.register("val_accuracy", "max")
    metrics.set_history("val_accuracy", [MetricObservation([0.5, 0.25], 0), MetricObservation([0.75], 2)])
    metrics.update("loss", 3.0, step=1)
    return metrics


def test_a_trial_comes_back() -> None:
    trial = Trial(space_in_scope(), trial_id="0003", status=TrialStatus.COMPLETED)
    trial.metrics, trial.score, trial.best_step = tracker(), 0.75, 2
    again = Trial.from_proto(trial.to_proto())
    assert again.get_state() == trial.get_state()
    waiting = Trial(space_in_scope(), trial_id="4", status="RUNNING", message="no place for this")
    again = Trial.from_proto(waiting.to_proto())
    assert (again.score, again.best_step, again.status, again.message) == (None, 0, "RUNNING", None)
    assert not waiting.to_proto().HasField("score")


def test_metrics_are_single_precision() -> None:
    assert MetricsTracker.from_proto(tracker().to_proto()).get_config() == tracker().get_config()
    history = MetricHistory("max")
    history.update(0.1, step=3)
    again = MetricHistory.from_proto(history.to_proto())
    assert again.direction == "max"
    assert again.get_best_step() == 3
    assert again.get_best_value() == pytest.approx(0.1, rel=1e-7)
    assert again.get_best_value() != 0.1
    observation = MetricObservation.from_proto(MetricObservation([math.inf, 1.0], 5).to_proto())
    assert (observation.value, observation.step) == ([math.inf, 1.0], 5)


def test_statuses() -> None:
    known = ["RUNNING", "IDLE", "INVALID", "STOPPED", "COMPLETED", "FAILED"]
    assert [TrialStatus.to_proto(s) for s in known] == [1, 2, 3, 4, 5, 6]
    assert [TrialStatus.from_proto(n) for n in range(1, 7)] == known
    assert TrialStatus.to_proto(None) == 0
    assert TrialStatus.from_proto(0) is None
    assert TrialStatus.to_proto(TrialStatus.INTERRUPTED) == TrialStatus.to_proto("INVALID")
    with pytest.raises(ValueError, match="Unknown status WRONG"):
        TrialStatus.to_proto("WRONG")
    with pytest.raises(ValueError, match="Unknown status 9"):
        TrialStatus.from_proto(9)


def test_what_no_message_can_hold() -> None:
    hp = space_in_scope()
    hp.values["deep"] = None
    with pytest.raises(
        ValueError, match="Unrecognized value type: expected a bool, an int, a float or a str, got None"
    ):
        hp.to_proto()


def test_values_of_numpy() -> None:
    hp = kt.HyperParameters()
    hp.values = {"a": np.float32(0.5), "b": np.int64(3), "c": np.bool_(True), "d": np.str_("x")}
    assert kt.HyperParameters.from_proto(hp.to_proto()).values == {"a": 0.5, "b": 3, "c": True, "d": "x"}


def test_the_names_of_the_module() -> None:
    module = get_proto()
    assert module.Trial is definitions.namespace()["Trial"]
    assert module.RUNNING == module.TrialStatus.RUNNING == 1
    assert module.Sampling.Name(3) == "REVERSE_LOG"
    assert {"Trial", "HyperParameters", "Value", "TrialStatus", "LOG"} <= set(dir(module))
    with pytest.raises(AttributeError, match="has no attribute 'Nothing'"):
        module.Nothing  # noqa: B018


def test_without_protobuf(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def absent(name: str, *args: Any) -> Any:
        if name.startswith("google"):
            raise ModuleNotFoundError("No module named 'google'")
        return real(name, *args)

    definitions.namespace.cache_clear()
    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(kt.errors.MissingDependency, match=r"pip install 'krigetuner\[protos\]'"):
        space_in_scope().to_proto()


@given(
    st.dictionaries(
        st.text(min_size=1, max_size=5),
        st.one_of(st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False), st.text(max_size=4)),
        max_size=5,
    )
)
def test_any_values_come_back(values: dict[str, Any]) -> None:
    hp = kt.HyperParameters()
    hp.values = dict(values)
    again = kt.HyperParameters.from_proto(type(hp.to_proto()).FromString(hp.to_proto().SerializeToString())).values
    assert again == values
    assert {name: type(value) for name, value in again.items()} == {name: type(v) for name, v in values.items()}
