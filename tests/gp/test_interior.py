"""The belief that the best configuration does not lie at the edges, while little is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from krigetuner.backend.numpy_backend import NumpyBackend
from krigetuner.backend.protocol import AcquisitionSpec, Effort, Penalty
from krigetuner.gp.feasibility import boundary, feasibility
from krigetuner.gp.interior import FADED, MARGIN, STRENGTH, interior
from krigetuner.gp.model import LEARNED, Surrogate, choose, surrogate
from krigetuner.gp.priors import Columns
from krigetuner.search.bayesian import BayesianSearch
from krigetuner.space.recorder import HyperParameters
from krigetuner.space.space import Space
from krigetuner.trial.history import History, Observation, Origin

NUMBERS = np.zeros(2, dtype=bool)
MIDDLE = np.full(2, 0.5)


def belief(trials: int, *rows: np.ndarray, categorical: np.ndarray = NUMBERS) -> Penalty:
    found = interior(np.array(rows or [MIDDLE]), categorical, trials)
    assert found is not None
    return found


def test_an_edge_counts_one_e_th_after_so_many_trials_and_nothing_inside() -> None:
    seven = belief(int(STRENGTH))
    at = np.array([[0.0, 0.5], [1.0, 0.5], [0.0, 1.0], [MARGIN, 1 - MARGIN], [0.4, 0.6], [MARGIN / 2, 0.5]])
    assert seven.log_weight(at)[0] == pytest.approx([-1.0, -1.0, -2.0, 0.0, 0.0, -0.25])
    assert belief(2 * int(STRENGTH)).log_weight(at)[0] == pytest.approx(seven.log_weight(at)[0] / 4)


def test_it_fades() -> None:
    assert interior(MIDDLE[None], NUMBERS, FADED) is not None
    assert interior(MIDDLE[None], NUMBERS, FADED + 1) is None


def test_what_was_given_is_inside_and_categories_have_no_edges() -> None:
    given = belief(7, np.array([0.0, 0.9]))
    at = np.array([[0.0, 0.5], [0.1, 0.9], [1.0, 0.5], [0.5, 1.0]])
    assert given.log_weight(at)[0] == pytest.approx([0.0, 0.0, -1.0, -((0.1 / MARGIN) ** 2)])
    both = belief(7, np.array([0.0, 0.5]), np.array([0.4, 0.9]))
    assert np.array_equal(both.log_weight(at)[0], given.log_weight(at)[0])
    half = belief(7, categorical=np.array([True, False]))
    assert half.log_weight(np.array([[0.0, 0.5], [1.0, 0.0]]))[0] == pytest.approx([0.0, -1.0])


def test_gradients_are_derivatives() -> None:
    found, at = belief(3), np.random.default_rng(0).random((20, 2))
    slopes = found.log_weight(at, gradient=True)[1]
    assert slopes is not None
    assert found.log_weight(at)[1] is None
    for j in range(2):
        step = 1e-6 * np.eye(2)[j]
        numeric = (found.log_weight(at + step)[0] - found.log_weight(at - step)[0]) / 2e-6
        assert slopes[:, j] == pytest.approx(numeric, abs=1e-6)


@pytest.mark.parametrize("fails", [False, True])
def test_it_is_added_to_the_acquisition_and_an_ascent_climbs_the_sum(fails: bool) -> None:
    rng = np.random.default_rng(1)
    x = rng.random((12, 2))
    losses, zero = x[:, 0] + x[:, 1], np.zeros(12)
    choice = choose(NumpyBackend(), x, losses, zero, Columns.linear(2), 0.0, LEARNED)
    plain: Surrogate = surrogate(NumpyBackend(), x, losses, zero, choice)
    failed, weight = np.arange(12) % 3 == 0, belief(3)
    edge = boundary(NumpyBackend(), x, failed, Columns.linear(2))
    fail = feasibility(NumpyBackend(), x, failed, edge) if fails else None
    held = replace(plain, penalty=weight, feasibility=fail)
    spec, at = AcquisitionSpec("logei", best=plain.best), rng.random((9, 2))
    expected = plain.score(at, spec)[0] + weight.log_weight(at)[0] + (fail.log_weight(at)[0] if fail else 0.0)
    assert held.score(at, spec)[0] == pytest.approx(expected)
    ends = [m.ascend(at, np.zeros((9, 2)), np.ones((9, 2)), spec, Effort(60, 1e-7)) for m in (plain, held)]
    assert held.score(ends[1], spec)[0].max() >= held.score(ends[0], spec)[0].max()
    top = [e[np.argmax(m.score(e, spec)[0])].min() for m, e in zip((plain, held), ends, strict=True)]
    assert top[0] < top[1], "the losses fall towards the corner, the belief holds back"


@pytest.mark.parametrize("acquisition", ["auto", "ei"])
def test_it_is_part_of_the_default_only(acquisition: str, monkeypatch: pytest.MonkeyPatch) -> None:
    hp = HyperParameters()
    hp.Float("x", 0.0, 1.0)
    space = Space(hp.space)
    history = History(
        [
            Observation(i, {"x": x}, "completed", x, None, Origin("bayesian"))
            for i, x in enumerate((0.5, 0.3, 0.4, 0.6, 0.45))
        ]
    )

    def suggestion() -> object:
        answer = BayesianSearch(0, acquisition=acquisition).ask(space, history, 1)
        assert isinstance(answer, list)
        return answer[0].values["x"]

    believing = suggestion()
    monkeypatch.setattr("krigetuner.search.bayesian.interior", lambda *_: None)
    assert (suggestion() == believing) == (acquisition == "ei")
