"""An oracle in a worker process: what a trial says travels to the process that searches, and one trial is all it knows.

An oracle that conducts a search becomes one of these when it is pickled. The user's own oracle object stays what it is
there, with its options and its attributes; its class gets `TravellingOracle` in front, so that nothing of it can touch
the study from afar.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from krigetuner.run import plain
from krigetuner.run.messages import Context
from krigetuner.space.recorder import HyperParameters
from krigetuner.trial.objective import Objective
from krigetuner.trial.trial import TrialStatus
from krigetuner.tuners import scoring
from krigetuner.tuners.search_space import SearchSpace
from krigetuner.tuners.trial import Trial, track

LEFT_BEHIND = frozenset((
    "trials", "ongoing_trials", "start_order", "end_order", "tuner_ids", "stop_reason", "storage", "_place", "_lock",
    "_opened", "_algorithm", "_ahead", "_begun", "_ended_here", "_origin", "_given", "_best", "_best_in",
    "_recorded_space", "_recorded_state", "_tried_so_far", "_id_to_hash", "_untold",
))  # fmt: skip
"""What an oracle knows of the study and of its trials."""

Reduced = tuple[Any, tuple[Any, ...], dict[str, Any]]


def packed(oracle: Any) -> Reduced:
    """What `__reduce_ex__` returns for an oracle that conducts a search."""
    state = {name: value for name, value in vars(oracle).items() if name not in LEFT_BEHIND}
    return unpacked, (type(oracle),), state


def unpacked(kind: Any) -> Any:
    """An oracle of this class in a worker process; its attributes come by `__setstate__`."""
    front = {"__module__": kind.__module__, "__qualname__": kind.__qualname__}
    made: Any = type(kind.__name__, (TravellingOracle, kind), front)
    return made.__new__(made)


class TravellingOracle:
    """The methods that speak to the searching process, or say that they cannot; see `Oracle` for what they mean."""

    objective: Objective
    hyperparameters: HyperParameters
    trials: dict[str, Trial]
    ongoing_trials: dict[str, Trial]
    _begin_empty: Callable[[], None]
    _definitions: SearchSpace
    _channel: Context

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        """Begins without a study."""
        self._begin_empty()
        vars(self).update(state)
        self._tried_so_far: set[str] = set()
        self._id_to_hash: dict[str, str] = {}
        self.told: list[HyperParameters] = []

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Travels on as it came: user code may run parts of a trial in further processes."""
        kind = type(self).__mro__[2]
        return unpacked, (kind,), {k: v for k, v in vars(self).items() if k not in {"_lock", "_channel"}}

    def run_here(self, trial: Trial, channel: Context) -> None:
        """Makes a trial the one that runs in this process.

        Args:
            trial: as the searching process has sent it.
            channel: to that process.
        """
        self._channel, self.told = channel, []
        self.trials = self.ongoing_trials = {trial.trial_id: trial}
        self._definitions.recorder.merge(trial.hyperparameters, overwrite=False)  # others have discovered some

    # --- what travels

    def update_trial(self, trial_id: str, metrics: Mapping[str, Any], step: int = 0) -> Trial:
        """Sends metrics of the running trial, the objective among them, to the oracle that searches.

        Returns:
            The trial; its status is STOPPED when that oracle, or the search, wants it to end.
        """
        trial = self.get_trial(trial_id)
        numbers = scoring.reported(metrics, self.objective)
        self._channel.report(plain.step(step), numbers, None)
        track(trial.metrics, numbers, step, self.objective)
        if self._channel.should_stop():
            trial.status = TrialStatus.STOPPED
        return trial

    def report(self, trial_id: str, step: int, metrics: Mapping[str, Any], execution: int = 0) -> None:
        """Sends the metrics of one step (epoch) of one execution."""
        self.get_trial(trial_id)
        self._channel.report(plain.step(step), plain.metrics(metrics), execution)

    def update_space(self, hyperparameters: HyperParameters) -> None:
        """Takes in hyperparameters; they reach the searching process with the trial's result."""
        self._definitions.add(hyperparameters)
        self.told.append(hyperparameters.copy())

    # --- what is known here

    def get_trial(self, trial_id: str) -> Trial:
        """The trial that runs here.

        Raises:
            KeyError: another one is asked for.
        """
        if trial_id not in self.trials:
            raise KeyError(
                f"trial_id: expected the trial that this process runs ({', '.join(self.trials) or 'none'}), got "
                f"{trial_id!r}; {ADVICE}"
            )
        return self.trials[trial_id]

    def save(self) -> None:
        """Does nothing: the searching process records what there is."""

    def reload(self) -> None:
        """Does nothing: the searching process has the record."""

    def close(self) -> None:
        """Does nothing: the searching process closes."""

    # --- what only the searching process can do

    @property
    def _ledger(self) -> NoReturn:
        raise _elsewhere("the record of the study")

    def create_trial(self, tuner_id: str) -> NoReturn:
        """Refuses."""
        raise _elsewhere("create_trial()")

    def end_trial(self, trial: Trial) -> NoReturn:
        """Refuses: what `run_trial` returns ends the trial."""
        raise _elsewhere("end_trial()")

    def interrupt_trial(self, trial_id: str, reason: str) -> NoReturn:
        """Refuses."""
        raise _elsewhere("interrupt_trial()")

    def enqueue(self, values: Any) -> NoReturn:
        """Refuses."""
        raise _elsewhere("enqueue()")

    def add_observation(self, values: Any, metrics: Any) -> NoReturn:
        """Refuses."""
        raise _elsewhere("add_observation()")

    def get_best_trials(self, num_trials: int = 1) -> NoReturn:
        """Refuses."""
        raise _elsewhere("get_best_trials()")

    def remaining_trials(self) -> NoReturn:
        """Refuses."""
        raise _elsewhere("remaining_trials()")


ADVICE = (
    "hooks such as on_trial_begin and on_trial_end run in the process that searches: do it there, or search without "
    "workers"
)


def _elsewhere(what: str) -> RuntimeError:
    return RuntimeError(
        f"oracle: expected {what} to be used in the process that searches, got it in a worker or a pickled copy; "
        f"{ADVICE}"
    )
