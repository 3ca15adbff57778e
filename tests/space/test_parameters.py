"""Int, Float, Choice, Boolean, Fixed: known values, exact round trips, and what they refuse."""

from __future__ import annotations

import copy
import math
import pickle
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from krigetuner.space import Boolean, Choice, Fixed, Float, HyperParameter, Int, Parent, deserialize, serialize

PARAMETERS: list[HyperParameter] = [
    Int("a", 1, 10),
    Int("a", 0, 0),
    Int("a", -5, 100, step=7),
    Int("a", 2, 32, step=2, sampling="log"),
    Int("a", 3, 100, step=3, sampling="reverse_log"),
    Int("a", 1, 1000, sampling="log"),
    Int("a", 5, 700, sampling="reverse_log"),
    Int("a", 0, 10, step=4, default=5),
    Int("a", 0, 10**12),
    Int("a", 1, 10**9, sampling="log"),
    Float("a", 0, 1, step=0.1),
    Float("a", 0, 1, step=1e-12),
    Float("a", 1e-5, 1e5, step=1 + 2e-8, sampling="log"),
    Float("a", 0, 0.6, step=0.1, default=0.25),
    Float("a", 1e-4, 1e-1, step=10, sampling="log"),
    Float("a", 1e-3, 10, step=10, sampling="reverse_log"),
    Float("a", 1e-3, 10, step=10, sampling="reverse_log", default=5),
    Float("a", 2.5, 2.5),
    Float("a", 0, 1, step=1 / 3),
    Choice("a", ["x", "y", "z"]),
    Choice("a", [128, 32, 64]),
    Choice("a", [0.5, 0.25], ordered=False, default=0.25),
    Choice("a", [True, False]),
    Boolean("a"),
    Fixed("a", 3),
]
CONTINUOUS = [
    Float("a", 0, 1),
    Float("a", -3.5, 1e6),
    Float("a", 1e-10, 1, sampling="log"),
    Float("a", 1e-4, 1e-1, sampling="log"),
    Float("a", 1e-4, 1e-1, sampling="reverse_log"),
    Float("a", 1e9, 1e9 + 1),
    Float("a", 1e-300, 1e300 / 1e10, sampling="linear"),
]


def legal(parameter: HyperParameter) -> list[Any]:
    """All legal values, or a thousand spread ones of a large range."""
    count = parameter.count
    assert count is not None
    indices = range(count) if count <= 1000 else sorted({int(i) for i in np.linspace(0, count - 1, 1000)})
    return [parameter.value_at(i) for i in indices]


@pytest.mark.parametrize(
    ("parameter", "values"),
    [
        (Float("a", 0, 1, step=0.1), [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]),
        (Float("a", 0, 0.6, step=0.1), [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6]),
        (Float("a", 0, 0.5, step=0.1), [0.0, 0.1, 0.2, 0.3, 0.4, 0.5]),
        (Float("a", 0, 0.3, step=0.1), [0.0, 0.1, 0.2, 0.3]),
        (Float("a", 0, 1, step=0.2), [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (Float("a", 0.1, 0.95, step=0.4), [0.1, 0.5, 0.9]),
        (Float("a", 0, 1, step=1 / 3), [0.0, 1 / 3, 2 / 3, 1.0]),
        (Float("a", 0, 1, step=5), [0.0]),
        (Float("a", 1e-4, 1e-1, step=10, sampling="log"), [0.0001, 0.001, 0.01, 0.1]),
        (Float("a", 0.5, 9, step=2, sampling="LOG"), [0.5, 1.0, 2.0, 4.0, 8.0]),
        (Float("a", 1e-3, 10, step=10, sampling="reverse_log"), [10.0, 9.991, 9.901, 9.001, 0.001]),
        (Int("a", 6, 13, step=3), [6, 9, 12]),
        (Int("a", 6, 8), [6, 7, 8]),
        (Int("a", 2, 32, step=2, sampling="log"), [2, 4, 8, 16, 32]),
        (Int("a", 1, 9, step=3, sampling="reverse_log"), [9, 7, 1]),
        (Int("a", 1, 10**18, step=10, sampling="log"), [10**k for k in range(19)]),
        (Choice("a", ["x", "y"]), ["x", "y"]),
        (Boolean("a"), [True, False]),
        (Fixed("a", "v"), ["v"]),
    ],
    ids=str,
)
def test_values(parameter: HyperParameter, values: list[Any]) -> None:
    assert list(parameter.values) == values
    assert [type(v) for v in parameter.values] == [type(v) for v in values]
    assert parameter.count == len(values)


def test_a_twentieth_reaches_the_end() -> None:
    values = list(Float("a", 0, 1, step=0.05).values)
    assert len(values) == 21
    assert values == [float(Fraction(i, 20)) for i in range(21)]


@given(
    low=st.decimals(-100, 100, places=3),
    step=st.decimals("0.001", 10, places=3),
    count=st.integers(1, 300),
    rest=st.integers(0, 99),
)
@settings(max_examples=100)
def test_linear_steps_are_those_of_exact_arithmetic(low: Any, step: Any, count: int, rest: int) -> None:
    """The end of the range lies `rest` hundredths of a step behind the last value."""
    high = Fraction(low) + Fraction(step) * (count - 1) + Fraction(step) * Fraction(rest, 100)
    parameter = Float("a", float(low), float(high), step=float(step))
    assert list(parameter.values) == [float(Fraction(low) + Fraction(step) * i) for i in range(count)]


@pytest.mark.parametrize("sampling", ["log", "reverse_log"])
@given(low=st.floats(1e-8, 10), ratio=st.floats(1, 1e6), step=st.floats(1.05, 20))
def test_factor_steps_stay_in_the_range(sampling: str, low: float, ratio: float, step: float) -> None:
    high = low * ratio
    assume(math.isfinite(high))
    values = list(Float("a", low, high, step=step, sampling=sampling).values)
    assert all(low <= v <= high for v in values)
    assert values == sorted(values, reverse=sampling == "reverse_log")
    assert len(values) == math.floor(math.log(high / low) / math.log(step) + 1e-9) + 1


@pytest.mark.parametrize("parameter", PARAMETERS, ids=str)
def test_every_discrete_value_goes_there_and_back(parameter: HyperParameter) -> None:
    for value in legal(parameter):
        assert parameter.decode(parameter.encode(value)) == value
        assert parameter.value_at(parameter.index_of(value)) == value
        assert parameter.canonical(value) == value
        assert type(parameter.decode(parameter.encode(value))) is type(parameter.canonical(value))


@pytest.mark.parametrize("parameter", PARAMETERS, ids=str)
def test_every_value_has_its_probability(parameter: HyperParameter) -> None:
    values = list(parameter.values) if (parameter.count or 0) <= 1000 else legal(parameter)
    for value in values:
        prob = parameter.value_to_prob(value)
        assert 0 <= prob <= 1
        assert parameter.prob_to_value(prob) == value


@pytest.mark.parametrize("parameter", CONTINUOUS, ids=str)
@given(unit=st.floats(0, 1))
@settings(max_examples=200)
def test_every_continuous_value_goes_there_and_back(parameter: Float, unit: float) -> None:
    value = parameter.prob_to_value(unit)
    assert parameter.min_value <= value <= parameter.max_value
    assert parameter.prob_to_value(parameter.value_to_prob(value)) == value
    assert parameter.decode(parameter.encode(value)) == value
    assert parameter.value_to_prob(value) == pytest.approx(unit, abs=1e-6 if parameter.min_value == 1e9 else 1e-12)


@pytest.mark.parametrize("sampling", ["linear", "log", "reverse_log"])
@given(digits=st.integers(10**6, 10**10 - 1), exponent=st.integers(-13, -8))
@settings(max_examples=300)
def test_numbers_that_people_write_go_there_and_back(sampling: str, digits: int, exponent: int) -> None:
    value = float(f"{digits}e{exponent}")
    for low, high in ((1e-7, 100.0), (1e-8, 1e3)):
        parameter = Float("a", low, high, sampling=sampling)
        if low <= value <= high and (sampling == "log" or exponent >= -10 + math.log10(high)):
            assert parameter.prob_to_value(parameter.value_to_prob(value)) == value


@pytest.mark.parametrize("parameter", CONTINUOUS, ids=str)
def test_bounds_are_reached(parameter: Float) -> None:
    assert parameter.prob_to_value(0.0) == parameter.min_value
    assert parameter.prob_to_value(1.0) == parameter.max_value
    assert parameter.value_to_prob(parameter.min_value) == 0.0
    assert parameter.value_to_prob(parameter.max_value) == 1.0


def test_scales() -> None:
    assert Float("a", 1, 9).prob_to_value(0.25) == 3.0
    assert Float("a", 1e-4, 1e-2, sampling="log").prob_to_value(0.5) == 1e-3
    assert Float("a", 1, 100, sampling="reverse_log").prob_to_value(0.5) == 91.0
    assert [Int("a", 1, 8, sampling="log").prob_to_value(p) for p in (0, 0.3, 0.6, 0.999)] == [1, 1, 3, 8]


@pytest.mark.parametrize("parameter", [p for p in PARAMETERS if p.count is not None], ids=str)
@given(units=st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_snapping_is_decoding_and_encoding(parameter: HyperParameter, units: list[float]) -> None:
    snapped = parameter.snap(np.array(units))
    if parameter.even:
        assert snapped.tolist() == [parameter.encode(parameter.decode(u)) for u in units]
    for before, after in zip((parameter.decode(u) for u in units), (parameter.decode(u) for u in snapped), strict=True):
        assert before == after or before == pytest.approx(after, rel=1e-9)  # numpy's exp at the edge of a huge cell
    assert np.allclose(parameter.snap(snapped), snapped, rtol=0, atol=1e-15)


@pytest.mark.parametrize("parameter", PARAMETERS + CONTINUOUS, ids=str)
def test_random_samples_are_legal_and_repeatable(parameter: HyperParameter) -> None:
    for seed in range(20):
        value = parameter.random_sample(seed)
        assert parameter.canonical(value) == value
        assert parameter.random_sample(seed) == value
    assert parameter.random_sample() is not None


@pytest.mark.parametrize("parameter", PARAMETERS + CONTINUOUS, ids=str)
def test_configuration_goes_there_and_back(parameter: HyperParameter) -> None:
    conditional = parameter.from_config({**parameter.get_config(), "conditions": [Parent("model", ["x"])]})
    for one in (parameter, conditional):
        config = serialize(one)
        again = deserialize(config)
        assert serialize(again) == config
        assert again.definition() == one.definition()
        assert again.identity == one.identity
        assert again.default == one.default


def test_shares_of_logarithmic_integers_are_those_of_the_scale() -> None:
    rng = np.random.default_rng(0)
    parameter = Int("a", 1, 100, sampling="log")
    values = [parameter.decode(u) for u in parameter.snap(rng.random(4000))]
    small = np.mean([v <= 9 for v in values])
    assert small == pytest.approx(math.log(10) / math.log(101), abs=0.03)


def test_a_default_beside_the_steps_is_legal_and_not_sampled() -> None:
    parameter = Int("a", 0, 10, step=4, default=5)
    assert list(parameter.values) == [0, 4, 8]
    assert legal(parameter) == [0, 4, 5, 8]
    assert {parameter.random_sample(s) for s in range(100)} == {0, 4, 8}
    assert legal(Float("a", 1e-3, 10, step=10, sampling="reverse_log", default=5)) == [
        10.0,
        9.991,
        9.901,
        9.001,
        5.0,
        0.001,
    ]
    assert list(Int("a", 1, 10, step=3, sampling="reverse_log").values) == [10, 8, 2]
    assert legal(Int("a", 1, 10, step=3, sampling="reverse_log")) == [10, 8, 2, 1], "its default is min_value"
    assert legal(Float("a", 0, 1, step=0.3, default=1)) == [0.0, 0.3, 0.6, 0.9, 1.0]
    assert legal(Float("a", 0, 0.3, step=0.1, default=0.1 + 0.2)) == [0.0, 0.1, 0.2, 0.3]


def test_ordered_numbers_are_ranked() -> None:
    parameter = Choice("a", [128, 32, 64])
    assert legal(parameter) == [32, 64, 128]
    assert not parameter.categorical
    assert parameter.index_of(40) == 0
    assert parameter.default == 128
    assert Choice("a", [128, 32, 64], ordered=False).categorical


def test_numpy_values_are_taken() -> None:
    assert Choice("a", np.arange(3)).values == [0, 1, 2]
    assert type(Choice("a", [np.float64(0.5), np.float64(1)]).values[0]) is float
    assert Int("a", np.int64(1), np.int32(5)).max_value == 5
    assert Int("a", 1, 5).canonical(np.int64(3)) == 3
    assert Fixed("a", np.float64(0.5)).value == 0.5
    assert Boolean("a").canonical(np.True_) is True
    assert Float("a", np.float32(0), 1).min_value == 0.0


def test_whatever_is_a_number_is_taken() -> None:
    assert Float("a", Decimal("0.1"), Fraction(1, 2), step="0.1").values == (0.1, 0.2, 0.3, 0.4, 0.5)
    assert list(Int("a", False, Fraction(4), step=2.0).values) == [0, 2, 4]
    assert Choice("a", "xyz").values == ["x", "y", "z"]


def test_parameters_can_be_pickled_and_copied() -> None:
    for parameter in PARAMETERS + CONTINUOUS:
        parameter.encode(parameter.default)
        for again in (pickle.loads(pickle.dumps(parameter)), copy.deepcopy(parameter)):
            assert again.get_config() == parameter.get_config()
            assert again.encode(parameter.default) == parameter.encode(parameter.default)


def test_defaults() -> None:
    assert Int("a", 3, 5).default == 3
    assert Float("a", 3, 5).default == 3.0
    assert Choice("a", ["x", "y"]).default == "x"
    assert Boolean("a").default is False
    assert Fixed("a", 7).default == 7
    assert Int("a", 3, 5, default=4).default == 4
    assert not Int("a", 3, 5).default_given
    assert Int("a", 3, 5, default=3).default_given
    assert Choice("a", [1.0, 2.0], default=2).default == 2.0


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: Int("a", 5, 1), ValueError, "min_value 5 is greater than the max_value 1"),
        (lambda: Float("a", 1, 0), ValueError, "min_value 1.0 is greater than the max_value 0.0"),
        (lambda: Int("a", 1, 5, step=0), ValueError, "expected step > 0. Received: step=0"),
        (lambda: Float("a", 1, 5, step=-0.5), ValueError, "expected step > 0. Received: step=-0.5"),
        (lambda: Float("a", 1, 5, step=1, sampling="log"), ValueError, "expected step > 1 with sampling='log'"),
        (lambda: Float("a", 0, 1, sampling="log"), ValueError, "sampling='log' does not support negative values"),
        (lambda: Int("a", 0, 5, sampling="reverse_log"), ValueError, "a logarithmic scale needs min_value > 0"),
        (lambda: Float("a", 0, 1, sampling="cubic"), ValueError, "sampling must be one of .*got 'cubic'"),
        (lambda: Int("a", 0.5, 5), ValueError, "min_value must be an int, Received: 0.5"),
        (lambda: Int("a", 0, 5, step=1.5), ValueError, "step must be an int"),
        (lambda: Int("a", "0", 5), ValueError, "min_value must be an int"),
        (lambda: Int("a", None, 5), TypeError, "min_value must be an int"),
        (lambda: Float("a", float("nan"), 5), ValueError, "min_value: expected a finite number, got nan"),
        (lambda: Float("a", 0, float("inf")), ValueError, "max_value: expected a finite number, got inf"),
        (lambda: Float("a", "x", 5), ValueError, "min_value: expected a number, got 'x'"),
        (lambda: Float("a", None, 5), TypeError, "min_value: expected a number, got None"),
        (
            lambda: Float("a", -1e308, 1e308),
            ValueError,
            r"can hold, both together too, got -1e\+308 to 1e\+308; narrow",
        ),
        (lambda: Float("a", 0, 1e300, step=1e-300), ValueError, "step: expected steps that float64 can tell apart"),
        (lambda: Float("a", 1.7e9, 1.7e9 + 1e-5, step=1e-7), ValueError, "it knows no difference of 1e-07"),
        (lambda: Float("a", 1e-20, 1, step=10, sampling="reverse_log"), ValueError, "knows no difference of 1e-20"),
        (
            lambda: Float("a", 1, 2, step=1 + 1e-10, sampling="log"),
            ValueError,
            "expected a factor of at least 1.00000001",
        ),
        (lambda: Float("a", 1e308, 1.7e308, sampling="reverse_log"), ValueError, "bounds that float64 can hold"),
        (lambda: Int("a", 0, 2**1100), ValueError, "min_value, max_value, step: expected bounds that float64 can hold"),
        (
            lambda: Int("a", 0, 10**5000),
            ValueError,
            "min_value, max_value, step: expected bounds that float64 can hold",
        ),
        (lambda: Int("a", 2**60, 2**60 + 5, sampling="log"), ValueError, "tell apart on a log scale; take sampling="),
        (
            lambda: Float("a", 1e-300, 1e300, sampling="log"),
            ValueError,
            "expected a ratio .* got 1e-300 to 1e.300; narrow",
        ),
        (
            lambda: Int("a", 1, 5, default=6),
            ValueError,
            "default: expected a value between min_value 1 and max_value 5, got 6",
        ),
        (lambda: Float("a", 1, 5, default=0.5), ValueError, "default: expected a value between"),
        (lambda: Choice("a", []), ValueError, "`values` must be provided for `Choice`"),
        (lambda: Choice("a", None), ValueError, "`values` must be provided for `Choice`"),
        (
            lambda: Choice("a", [1, 2, 1]),
            ValueError,
            r"expected different values for Choice\(name='a'\).*list \[1\] once",
        ),
        (lambda: Choice("a", [1.0, float("nan")]), ValueError, "NaN equals nothing"),
        (lambda: Choice("a", [1, "x"]), TypeError, "can contain only one type of value"),
        (lambda: Choice("a", [1, 2.0]), TypeError, "can contain only one type of value"),
        (lambda: Choice("a", ["x", None]), TypeError, "can contain only one type of value"),
        (lambda: Choice("a", [None]), TypeError, "can contain only `int`, `float`, `str`, or `bool`"),
        (lambda: Choice("a", [(1, 2)]), TypeError, "can contain only `int`, `float`, `str`, or `bool`"),
        (lambda: Choice("a", [1, 2], default=3), ValueError, "default value should be one of the choices"),
        (lambda: Choice("a", ["x"], ordered=True), ValueError, "`ordered` must be `False` for non-numeric types"),
        (lambda: Boolean("a", default="yes"), ValueError, "`default` must be a Python boolean"),
        (lambda: Boolean("a", default=2), ValueError, "`default` must be a Python boolean"),
        (lambda: Fixed("a", None), ValueError, "`Fixed` value must be an `int`, `float`, `str`, or `bool`"),
        (lambda: Fixed("a", [1]), ValueError, "`Fixed` value must be"),
        (lambda: deserialize({"class_name": "Tuple", "config": {}}), ValueError, "expected one of .*got 'Tuple'"),
    ],
)
def test_bad_definitions(make: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        make()


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        (Int("a", 1, 5), 6),
        (Int("a", 1, 5), 2.5),
        (Int("a", 1, 5), "2"),
        (Float("a", 0, 1), float("nan")),
        (Float("a", 0, 1), -0.1),
        (Float("a", 0, 1, step=0.1), 0.15),
        (Float("a", 1e-12, 1e-10, sampling="log"), 2e-10),
        (Float("a", 1e-12, 1e-10, step=10, sampling="log"), 2e-11),
        (Int("a", 0, 10**12), 10**12 + 1),
        (Choice("a", ["x", "y"]), "z"),
        (Choice("a", [1, 2]), [1]),
        (Boolean("a"), "True"),
        (Fixed("a", 3), 4),
    ],
    ids=str,
)
def test_illegal_values_are_refused(parameter: HyperParameter, value: Any) -> None:
    with pytest.raises(ValueError, match=r"^a: expected .*got "):
        parameter.canonical(value)


def test_rounded_steps_are_understood() -> None:
    assert Float("a", 0, 1, step=0.1).canonical(0.1 * 3) == 0.3
    assert Choice("a", [1, 2]).canonical(1.0) == 1
