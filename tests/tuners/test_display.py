"""What a search shows, by `verbose`; and seeds of trainings."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from krigetuner.tuners.classes import RandomSearch
from krigetuner.tuners.trial import Trial

Make = Callable[..., RandomSearch]


class Parabola(RandomSearch):
    """Minimises (x - 0.3)^2; its second trial fails."""

    def run_trial(self, trial: Trial, *args: Any, **kwargs: Any) -> float:
        if trial.number == 1:
            raise ValueError("a bad layer")
        return float((trial.hyperparameters.Float("x", -1.0, 1.0) - 0.3) ** 2)


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    tuners: list[RandomSearch] = []

    def maker(seed: int = 3) -> RandomSearch:
        tuners.append(Parabola(max_trials=4, directory=tmp_path, project_name=str(len(tuners)), seed=seed))
        return tuners[-1]

    yield maker
    for tuner in tuners:
        tuner.oracle.close()


@pytest.mark.parametrize("verbose", [{}, {"verbose": "auto"}])
def test_without_a_terminal_only_failures_and_the_end_are_told(
    make: Make, verbose: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    make().search(**verbose)
    failed, closing = capsys.readouterr().out.splitlines()
    assert failed == "Trial 1 failed: ValueError: a bad layer"
    assert closing.startswith("Search ended after ")
    assert "max_trials: all 4 trials have been run; best default_objective" in closing


@pytest.mark.parametrize("verbose", [1, 2, True])
def test_an_explicit_verbose_gives_lines_per_trial(
    make: Make, verbose: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    make().search(verbose=verbose)
    lines = capsys.readouterr().out.splitlines()
    assert [sum(line.startswith(f"Trial {n} ") for line in lines) for n in range(4)] == [2, 3, 2, 2]


def test_a_verbose_that_is_none_is_refused_before_anything_runs(make: Make) -> None:
    tuner = make()
    with pytest.raises(ValueError, match="verbose: expected \"auto\", 0, 1 or 2, got 'loud'"):
        tuner.search(verbose="loud")
    assert not tuner.oracle.trials


def test_seeds_of_either_sign_train_differently(make: Make) -> None:
    found = set()
    for seed in (3, -3, 0, 4):
        tuner = make(seed)
        tuner.search(verbose=0)
        found |= {tuner._training_seed(record) for record in tuner.oracle._ledger.state.trials.values()}
    assert len(found) == 16
