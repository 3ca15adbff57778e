"""BaseTuner and the ready tuners with a plain run_trial: search, hooks, resume, texts."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest
from tests.tuners.parabola import Parabola, Plain, space

from krigetuner.errors import KrigeTunerWarning
from krigetuner.space.recorder import HyperParameters
from krigetuner.tuners.base_tuner import BaseTuner
from krigetuner.tuners.builtin_oracles import GridSearchOracle, RandomSearchOracle
from krigetuner.tuners.classes import BayesianOptimization, GridSearch, RandomSearch
from krigetuner.tuners.hypermodel import HyperModel, as_hypermodel
from krigetuner.tuners.trial import Trial
from krigetuner.tuners.tuner import Tuner


@pytest.mark.parametrize("kind", [RandomSearch, GridSearch, BayesianOptimization])
def test_every_ready_tuner_searches(kind: type[Tuner], tmp_path: Path, opened: list[BaseTuner]) -> None:
    class Mine(kind):  # type: ignore[valid-type, misc]
        run_trial = Parabola.run_trial

    tuner = Mine(max_trials=5, directory=tmp_path, seed=1)
    opened.append(tuner)
    tuner.search(verbose=0)
    scores = [t.score for t in tuner.oracle.get_best_trials(5)]
    assert len(scores) == 5
    assert scores == sorted(scores)
    assert tuner.get_best_hyperparameters()[0].get("x") == tuner.oracle.get_best_trials()[0].hyperparameters.values["x"]
    assert tuner.remaining_trials == 0
    assert tuner.project_dir == str(tmp_path / "untitled_project")
    assert len(tuner.results()) == 5


def test_it_resumes_and_more_trials_can_be_added(tmp_path: Path) -> None:
    def run(trials: int) -> list[float]:
        tuner = Parabola(max_trials=trials, directory=tmp_path, seed=3)
        tuner.search(verbose=0)
        tuner.oracle.close()
        return [tuner.oracle.trials[i].score or 0.0 for i in tuner.oracle.start_order]

    first = run(3)
    assert run(3) == first
    assert run(6)[:3] == first
    tuner = Parabola(max_trials=6, directory=tmp_path / "other", seed=3)
    tuner.search(verbose=0)
    tuner.oracle.max_trials += 2
    tuner.search(verbose=0)
    tuner.oracle.close()
    assert len(tuner.oracle.end_order) == 8
    assert [tuner.oracle.trials[i].score for i in tuner.oracle.start_order[:6]] == run(6)


def test_a_new_search_among_the_files_of_a_lost_one_says_so(tmp_path: Path) -> None:
    def run(**more: Any) -> BaseTuner:
        tuner = Parabola(max_trials=2, directory=tmp_path, seed=3, **more)
        tuner.search(verbose=0)
        for trial_id in tuner.oracle.trials:
            tuner.get_trial_dir(trial_id)
        tuner.oracle.close()
        return tuner

    project = Path(run().project_dir)
    run()
    (project / "study.sqlite").rename(tmp_path / "away.sqlite")
    lost = r"nothing is recorded, got 2 directories \(trial_0, \.\.\.\); a new search begins, and its trials replace"
    with pytest.warns(KrigeTunerWarning, match=lost):
        run()
    run()
    run(overwrite=True)


def test_a_working_directory_that_changes_takes_no_files_along(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, opened: list[BaseTuner]
) -> None:
    class Moving(Parabola):
        def run_trial(self, trial: Trial, *args: Any, **kwargs: Any) -> Any:
            elsewhere = tmp_path / f"elsewhere_{trial.trial_id}"
            elsewhere.mkdir()
            monkeypatch.chdir(elsewhere)
            Path(self.get_trial_dir(trial.trial_id), "weights").touch()
            return super().run_trial(trial)

    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    tuner = Moving(max_trials=3, directory="runs", project_name="p", seed=3)
    opened.append(tuner)
    assert tuner.project_dir == str(Path("runs/p"))
    tuner.search(verbose=0)
    assert tuner.project_dir == str(tmp_path / "here/runs/p")
    assert not list(tmp_path.glob("elsewhere_*/*"))
    assert len(list(tmp_path.glob("here/runs/p/trial_*/weights"))) == 3
    tuner.reload()
    assert len(tuner.oracle._ledger.state.trials) == 3
    monkeypatch.chdir(tmp_path / "here")
    assert tuner.project_dir == str(Path("runs/p"))


def test_hooks_are_called_in_order_and_arguments_reach_run_trial(tmp_path: Path, opened: list[BaseTuner]) -> None:
    calls: list[Any] = []

    class Hooked(BaseTuner):
        def on_search_begin(self) -> None:
            calls.append("search begins")

        def on_search_end(self) -> None:
            calls.append("search ends")

        def pre_create_trial(self) -> None:
            calls.append("ask")

        def on_trial_begin(self, trial: Trial) -> None:
            calls.append(("begin", trial.status))

        def on_trial_end(self, trial: Trial) -> None:
            super().on_trial_end(trial)
            calls.append(("end", trial.status, trial.score))

        def run_trial(self, trial: Trial, *args: Any, **kwargs: Any) -> Any:
            calls.append((args, kwargs))
            return 1.0

    tuner = Hooked(RandomSearchOracle(max_trials=1, hyperparameters=space()), directory=tmp_path)
    opened.append(tuner)
    tuner.search(1, verbose=0, epochs=2)
    assert calls == [
        "search begins",
        "ask",
        ("begin", "RUNNING"),
        ((1,), {"verbose": 0, "epochs": 2}),
        ("end", "COMPLETED", 1.0),
        "ask",
        "search ends",
    ]


def test_executions_are_kept_with_their_spread(tmp_path: Path, opened: list[BaseTuner]) -> None:
    class Repeated(Parabola):
        def run_trial(self, trial: Trial, *args: Any, **kwargs: Any) -> Any:
            return [1.0, 2.0, 6.0]

    tuner = Repeated(max_trials=1, directory=tmp_path, hyperparameters=space())
    opened.append(tuner)
    tuner.search(verbose=0)
    (trial,) = tuner.oracle.get_best_trials()
    assert trial.score == pytest.approx(3.0)
    assert [e.metrics["default_objective"] for e in trial.executions] == [1.0, 2.0, 6.0]
    assert trial.variance == pytest.approx(7.0 / 3)


def test_the_old_way_of_reporting_works_with_a_warning(tmp_path: Path, opened: list[BaseTuner]) -> None:
    class Old(Parabola):
        def run_trial(self, trial: Trial, *args: Any, **kwargs: Any) -> Any:
            self.oracle.update_trial(trial.trial_id, {"loss": super().run_trial(trial)})

    tuner = Old(objective="loss", max_trials=2, directory=tmp_path)
    opened.append(tuner)
    with pytest.warns(DeprecationWarning, match="run_trial: expected the metrics to be returned"):
        tuner.search(verbose=0)
    assert [t.status for t in tuner.oracle.trials.values()] == ["COMPLETED"] * 2


def test_enqueued_values_and_observations(tmp_path: Path, opened: list[BaseTuner]) -> None:
    tuner = Parabola(max_trials=2, directory=tmp_path, hyperparameters=space(), target=1e-9)
    opened.append(tuner)
    tuner.add_observation({"x": 0.25}, 0.0025)
    tuner.enqueue({"x": 0.3})
    tuner.search(verbose=0)
    assert tuner.oracle.get_best_trials()[0].hyperparameters.values == {"x": 0.3}
    assert len(tuner.oracle.trials) == 2  # the observation, and the one that reached the target
    assert tuner.oracle.stop_reason.startswith("target")


def test_names_that_no_build_asks_for_are_reported_when_they_are_enqueued(
    tmp_path: Path, opened: list[BaseTuner]
) -> None:
    class Fitting(HyperModel):
        def build(self, hp: HyperParameters) -> Any:
            return hp.Float("x", -1.0, 1.0)

        def fit(self, hp: HyperParameters, model: Any, *args: Any, **kwargs: Any) -> Any:
            return hp.Int("epochs", 1, 3)

    plain = RandomSearch(Fitting().build, max_trials=2, directory=tmp_path, project_name="plain", seed=1)
    fitting = RandomSearch(Fitting(), max_trials=2, directory=tmp_path, project_name="fitting", seed=1)
    opened += [plain, fitting]
    with pytest.warns(KrigeTunerWarning, match=r"enqueue: expected names among \['x'\], got \['epochs'\]"):
        plain.enqueue({"x": 0.0, "epochs": 2})
    fitting.enqueue({"x": 0.0, "epochs": 2})  # fit may ask for it


def test_an_observation_of_what_fit_alone_asks_for_does_not_end_the_search(
    tmp_path: Path, opened: list[BaseTuner]
) -> None:
    class Fitting(HyperModel):
        def build(self, hp: HyperParameters) -> Any:
            return None

        def fit(self, hp: HyperParameters, model: Any, *args: Any, **kwargs: Any) -> Any:
            return hp.Int("epochs", 1, 3)

    class Mine(BaseTuner):
        def run_trial(self, trial: Trial, *args: Any, **kwargs: Any) -> Any:
            hp = trial.hyperparameters
            return self.hypermodel.fit(hp, self.hypermodel.build(hp))

    tuner = Mine(GridSearchOracle(None, 9, seed=1), Fitting(), directory=tmp_path)
    opened.append(tuner)
    tuner.add_observation({"epochs": 2}, 2.0)
    tuner.search(verbose=0)
    assert sorted(t.hyperparameters.values["epochs"] for t in tuner.oracle.trials.values()) == [1, 2, 3]


def test_storage_and_durability_are_given_once(tmp_path: Path, opened: list[BaseTuner]) -> None:
    class Mine(BaseTuner):
        run_trial = Parabola.run_trial

    for name, value in (("storage", "memory"), ("durability", "full")):
        oracle = RandomSearchOracle(None, 2, hyperparameters=space(), **{name: value})
        text = f"{name}: expected it to be given to the oracle or to the tuner, got '{value}' and '{value}'; leave one"
        with pytest.raises(ValueError, match=text):
            Mine(oracle, directory=tmp_path, **{name: value})
        opened.append(Mine(oracle, directory=tmp_path, project_name=name))
    tuner = Parabola(max_trials=1, directory=tmp_path, project_name="full", durability="full")
    opened.append(tuner)
    with tuner.oracle._ledger._store._connection.transaction() as cursor:  # type: ignore[attr-defined]
        assert cursor.execute("PRAGMA synchronous").fetchone()[0] == 2


def test_the_history_of_a_search(tmp_path: Path, opened: list[BaseTuner]) -> None:
    class Twice(Parabola):
        def run_trial(self, trial: Trial, *args: Any, **kwargs: Any) -> Any:
            return [1.0 + int(trial.trial_id), 2.0 + int(trial.trial_id)]

    tuner = Twice(max_trials=2, directory=tmp_path, seed=1, hyperparameters=space())
    opened.append(tuner)
    tuner.search(verbose=0)
    name = tuner.oracle.objective.name
    assert tuner.history()[["trial_id", "execution", name]].to_numpy().tolist() == [
        ["0", 0, 1.0],
        ["0", 1, 2.0],
        ["1", 0, 2.0],
        ["1", 1, 3.0],
    ]
    assert len(tuner.history("1")) == 2


def test_state_of_a_subclass_comes_back(tmp_path: Path) -> None:
    class Counting(Parabola):
        count = 0

        def on_trial_end(self, trial: Trial) -> None:
            self.count += 1
            super().on_trial_end(trial)

        def get_state(self) -> dict[str, Any]:
            return {"count": self.count}

        def set_state(self, state: Any) -> None:
            self.count = state["count"]

    for total in (2, 5):
        tuner = Counting(max_trials=total, directory=tmp_path, seed=1)
        tuner.search(verbose=0)
        tuner.oracle.close()
        assert tuner.count == total


def test_the_initial_space_holds_what_nested_conditions_bring_up(tmp_path: Path, opened: list[BaseTuner]) -> None:
    builds: list[dict[str, Any]] = []

    class Conditional(HyperModel):
        def declare_hyperparameters(self, hp: HyperParameters) -> None:
            hp.Int("declared", 1, 2)

        def build(self, hp: HyperParameters) -> Any:
            kind = hp.Choice("kind", ["a", "b", "c"])
            with hp.conditional_scope("kind", ["b"]):
                if kind == "b":
                    hp.Boolean("deep")
                    with hp.conditional_scope("deep", [True]):
                        if hp.get("deep"):
                            hp.Int("deepest", 1, 3)
            with hp.conditional_scope("kind", ["c"]):
                if kind == "c":
                    hp.Float("rate", 0.0, 1.0)
            builds.append(dict(hp.values))

    tuner = RandomSearch(Conditional(), "val_loss", directory=tmp_path)
    opened.append(tuner)
    assert {p.name for p in tuner.oracle.get_space().space} == {"declared", "kind", "deep", "deepest", "rate"}
    assert len(builds) == 4


def test_a_model_that_is_not_tunable_adds_nothing(tmp_path: Path, opened: list[BaseTuner]) -> None:
    class Frozen(HyperModel):
        def build(self, hp: HyperParameters) -> Any:
            return hp.Int("hidden", 1, 9)

    tuner = RandomSearch(Frozen(tunable=False), "val_loss", directory=tmp_path)
    opened.append(tuner)
    assert tuner.oracle.get_space().space == []
    assert Frozen().build(space()) == 1


def test_build_goes_through_the_wrapper_once(tmp_path: Path, opened: list[BaseTuner]) -> None:
    class Block(HyperModel):
        def _build_wrapper(self, hp: HyperParameters, *args: Any, **kwargs: Any) -> Any:
            with hp.name_scope(str(self.name)):
                return super()._build_wrapper(hp, *args, **kwargs)

        def build(self, hp: HyperParameters) -> Any:
            return hp.Int("units", 1, 9)

    class Wider(Block):
        def build(self, hp: HyperParameters) -> Any:
            return super().build(hp) + Block("inner").build(hp) + hp.Int("more", 0, 9)

    tuner = RandomSearch(Wider("outer"), "val_loss", directory=tmp_path)
    opened.append(tuner)
    assert [p.name for p in tuner.oracle.get_space().space] == ["outer/units", "outer/inner/units", "outer/more"]
    assert Wider("again", tunable=False).build(space()) == 2


def test_summaries(tmp_path: Path, opened: list[BaseTuner], capsys: pytest.CaptureFixture[str]) -> None:
    hp = space()
    hp.Choice("kind", ["a", "b"])
    hp.Int("units", 1, 3, parent_name="kind", parent_values=["b"])
    tuner = Parabola(max_trials=2, directory=tmp_path, hyperparameters=hp)
    opened.append(tuner)
    for extended in (True, False):
        tuner.search_space_summary(extended)
        shown = capsys.readouterr().out
        assert "Default search space size: 3" in shown
        assert "active when kind is b" in shown
        assert ("default=" in shown) == extended
    tuner.search(verbose=0)
    assert capsys.readouterr().out == ""
    tuner.results_summary(1)
    shown = capsys.readouterr().out
    assert "Showing 1 best trials" in shown
    assert shown.count("Score: ") == 1
    assert f"\nx: {tuner.get_best_hyperparameters()[0]['x']!r}\n" in shown, "every digit, to be copied"
    assert tuner.get_best_models(0) == []


def test_a_logger_is_accepted_and_ignored(tmp_path: Path, opened: list[BaseTuner]) -> None:
    with pytest.warns(DeprecationWarning, match="logger"):
        opened.append(Plain(RandomSearchOracle(), directory=tmp_path, logger=object()))


def test_a_conditional_that_no_value_opens_ends_the_discovery(tmp_path: Path, opened: list[BaseTuner]) -> None:
    def build(hp: HyperParameters) -> Any:
        hp.Choice("kind", ["a", "b"])
        with hp.conditional_scope("kind", ["z"]):
            hp.Int("never", 1, 2)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", KrigeTunerWarning)
        opened.append(RandomSearch(build, "loss", directory=tmp_path))
    assert [p.name for p in opened[-1].oracle.get_space().space] == ["kind", "never"]


def test_the_grid_visits_everything_and_says_why_it_ends(tmp_path: Path, opened: list[BaseTuner]) -> None:
    hp = HyperParameters()
    hp.Int("a", 1, 3)
    hp.Boolean("b")

    class Sum(BaseTuner):
        def run_trial(self, trial: Trial, *args: Any, **kwargs: Any) -> Any:
            return float(trial.hyperparameters.get("a"))

    tuner = Sum(GridSearchOracle(hyperparameters=hp), directory=tmp_path)
    opened.append(tuner)
    tuner.search(verbose=0)
    assert len(tuner.oracle.end_order) == 6
    assert tuner.oracle.stop_reason


def test_as_hypermodel_keeps_none_and_hypermodels() -> None:
    model = HyperModel(name="mine")
    assert as_hypermodel(None) is None
    assert as_hypermodel(model) is model
    with pytest.raises(NotImplementedError, match=r"HyperModel\.build"):
        model.build(space())
