"""Random programs that ask for hyperparameters as they run: grid search visits what KerasTuner's does, in order."""

from __future__ import annotations

import tempfile
from typing import Any

import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from krigetuner.tuners.base_tuner import BaseTuner
from krigetuner.tuners.builtin_oracles import GridSearchOracle

pytestmark = [pytest.mark.compat, pytest.mark.filterwarnings("ignore")]
MOST = 20

CHOICES = {"a": [False, True], "b": [1, 2, 3], "c": ["x", "y"], "d": [False, True], "e": [0.5, 0.25], "f": [4, 3]}
Program = list[Any]
"""Steps: a name to ask for, or (kind, name, value, program) for a program that runs when the name has the value."""


@st.composite
def programs(draw: st.DrawFn, names: tuple[str, ...] = tuple(CHOICES), known: tuple[str, ...] = ()) -> Program:
    program: Program = []
    while names and draw(st.integers(0, 3)):
        name, names = names[0], names[1:]
        if known and draw(st.booleans()):
            parent = draw(st.sampled_from(known))
            kind = draw(st.sampled_from(["if", "scope"]))
            inner = [name] if kind == "scope" else draw(programs(names=(name, *names[:1])))
            names = tuple(n for n in names if n not in asked(inner))
            program.append((kind, parent, draw(st.sampled_from(CHOICES[parent])), inner))
        else:
            program.append(name)
            known = (*known, name)
    return program or ["a"]


def asked(program: Program) -> set[str]:
    """All names that a program may ask for."""
    return set().union(*({step} if isinstance(step, str) else asked(step[3]) for step in program))


def run(program: Program, hp: Any) -> float:
    """Runs a program; its result depends on what it asked for and nothing else."""
    loss = 0.0
    for step in program:
        if isinstance(step, str):
            values = CHOICES[step]
            value = hp.Boolean(step) if values == [False, True] else hp.Choice(step, values)
            loss = loss * 0.7 + (0.0 if value is None else values.index(value) + len(step))
            continue
        kind, parent, wanted, inner = step
        if kind == "scope":
            with hp.conditional_scope(parent, [wanted]):
                loss += run(inner, hp)
        elif hp.get(parent) == wanted:
            loss += run(inner, hp)
    return loss


def visited(tuner_class: Any, oracle: Any, program: Program, early: bool) -> list[dict[str, Any]]:
    """What a grid search visits when the space is known beforehand (`early`), or found by the trials."""

    class Programmed(tuner_class):  # type: ignore[misc]
        def run_trial(self, trial: Any, *args: Any, **kwargs: Any) -> float:
            return run(program, trial.hyperparameters)

    def build(hp: Any) -> None:
        run(program, hp)

    with tempfile.TemporaryDirectory() as directory:
        tuner = Programmed(oracle, build if early else None, directory=directory)
        tuner.oracle.verbose = 0
        tuner.search()
        trials = [tuner.oracle.trials[trial_id] for trial_id in tuner.oracle.start_order]
        if isinstance(oracle, GridSearchOracle):
            oracle.close()
    assert all(trial.status == "COMPLETED" for trial in trials)
    return [dict(sorted(trial.hyperparameters.values.items())) for trial in trials]


@settings(max_examples=25)
@given(program=programs(), early=st.booleans())
def test_the_same_visits(keras_tuner: Any, program: Program, early: bool) -> None:
    theirs_oracle = keras_tuner.oracles.GridSearchOracle("loss", max_trials=MOST)
    try:
        theirs = visited(keras_tuner.engine.base_tuner.BaseTuner, theirs_oracle, program, early)
    except KeyError:  # a trial without a name that a later one found stops its search
        reject()
    ours = visited(BaseTuner, GridSearchOracle("loss", max_trials=MOST), program, early)
    assert ours == theirs
