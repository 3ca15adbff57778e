"""What a worker's oracle reads: a mirror of the chief's."""

from __future__ import annotations

from contextlib import suppress

from krigetuner.errors import StoreError
from krigetuner.run.network.link import Link
from krigetuner.run.observed import Placement
from krigetuner.run.progress import tell
from krigetuner.space.parameters import deserialize
from krigetuner.space.recorder import HyperParameters
from krigetuner.tuners.network.mirror import MirrorLedger
from krigetuner.tuners.oracle import Oracle
from krigetuner.tuners.trial import Trial, trial_of


class MirroredOracle(Oracle):
    """The attributes of `Oracle` that follow from the record, from what the chief has told.

    Subclasses set `_link`, `_mirror`, `_held` (ids of the trials that this process runs) and `_faces`.
    """

    _link: Link
    _mirror: MirrorLedger
    _held: set[str]
    _faces: dict[str, Trial]

    def _take_news(self) -> None:
        """Takes over what has changed in the mirror."""
        mirror = self._mirror
        mirror.await_chief()
        self._catch_up()
        state = mirror.state
        if state.seed is not None:
            self.seed = state.seed
        if mirror.space_changed and state.parameters:
            mirror.space_changed = False
            known = HyperParameters()
            known.merge([deserialize(config) for config in state.parameters.values()])
            known._warned = self._definitions.recorder._warned
            self._definitions.recorder = known
        changed, mirror.changed = mirror.changed, set()
        if changed:
            self._best_in = None
        faces = dict(self._faces) if changed else self._faces
        for number in sorted(changed):
            if number in state.trials:
                record = state.trials[number]
                fresh = trial_of(record, self._definitions, self.objective)
                faces[record.trial_id] = self._renewed(faces.get(record.trial_id), fresh)
        self._faces = faces

    def _renewed(self, face: Trial | None, fresh: Trial) -> Trial:
        """The face of a trial that changed; the same object as before where there was one."""
        if face is None:
            return fresh
        own = face.trial_id in self._held
        kept = {"_hyperparameters"} if own else set()
        if own or not fresh.metrics.metrics:
            kept |= {"metrics"}
        if own:
            kept |= {"executions", "status", "message", "asked", "_watched"}
        vars(face).update({name: value for name, value in vars(fresh).items() if name not in kept})
        return face

    @property
    def trials(self) -> dict[str, Trial]:  # type: ignore[override]
        """Every trial by its id, as the chief has told."""
        self._take_news()
        return self._faces

    @property
    def ongoing_trials(self) -> dict[str, Trial]:  # type: ignore[override]
        """The trials that run, by the names of their workers."""
        trials, state = self.trials, self._mirror.state
        running = [state.trials[number] for number in sorted(state.running)]
        return {record.worker or "": trials[record.trial_id] for record in running if record.trial_id in trials}

    @property
    def start_order(self) -> list[str]:  # type: ignore[override]
        """Trial ids in the order in which they began."""
        return [record.trial_id for record in self._mirror.state.trials.values()]

    @property
    def end_order(self) -> list[str]:  # type: ignore[override]
        """Trial ids in the order in which they ended."""
        state = self._mirror.state
        return [state.trials[number].trial_id for number in state.ended]

    @property
    def hyperparameters(self) -> HyperParameters:
        """The search space as it is known now."""
        if self._link.opened:
            self._take_news()
        return self._definitions.recorder

    @hyperparameters.setter
    def hyperparameters(self, hyperparameters: HyperParameters) -> None:
        self._definitions.recorder = hyperparameters

    def get_best_trials(self, num_trials: int = 1) -> list[Trial]:
        """The best of the trials that the chief has told of by now, other workers' too; see `Oracle`."""
        self._take_news()
        return super().get_best_trials(num_trials)

    def _placement(self) -> Placement:
        self._take_news()
        return super()._placement()

    def _runs(self, trial: Trial) -> bool:
        return trial.trial_id in self._held

    def _counted(self) -> int:
        given = sum(not record.counted for record in self._mirror.state.trials.values())
        return len(self._mirror.state.trials) - given - self._placement().outside_counted

    def _catch_up(self) -> None:
        """Reads from the database what the chief did not tell, for the search ended while this worker was away."""
        if self._link.missed:
            self._link.missed = False
            tell("The search has ended while this worker could not reach the chief")
            with suppress(StoreError):  # the project may lie elsewhere
                self._mirror.read_recorded()
