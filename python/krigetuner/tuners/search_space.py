"""The space that an oracle searches: what the code defines, and what an earlier run of it had defined.

After a resume, stored definitions serve until the code defines the name; then the code's replaces them, and the
difference is reported. Within one run the first definition stands.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from typing import Any

from krigetuner.errors import KrigeTunerWarning, StudyMismatch
from krigetuner.space.activity import meets
from krigetuner.space.parameters import HyperParameter, deserialize, serialize
from krigetuner.space.recorder import HyperParameters
from krigetuner.space.space import Space
from krigetuner.trial.budget import CONTROL


class SearchSpace:
    """Keeps the definitions of one study together.

    Args:
        hyperparameters: what the user gave; an empty space for None.
        allow_new_entries: whether code may ask for names that are not in it.
        tune_new_entries: whether those enter the search, or keep their defaults.

    Attributes:
        whole: whether all names are believed to be known; a tuner whose trials may bring up more says False.
        known_before: names that the code had defined before the first trial of this run.

    Raises:
        ValueError: no hyperparameters were given although none may be added.
    """

    def __init__(
        self, hyperparameters: HyperParameters | None, allow_new_entries: bool, tune_new_entries: bool
    ) -> None:
        if hyperparameters is None:
            for name, value in (("tune_new_entries", tune_new_entries), ("allow_new_entries", allow_new_entries)):
                if not value:
                    raise ValueError(
                        f"If you set `{name}=False`, you must specify the search space via the `hyperparameters` "
                        f"argument; give hyperparameters=..., or leave {name} out"
                    )
        elif not isinstance(hyperparameters, HyperParameters):
            raise TypeError(
                f"hyperparameters: expected a HyperParameters object or None, got {hyperparameters!r}; "
                "make one with hp = HyperParameters() and hp.Int(...), hp.Float(...), ..."
            )
        self.recorder = HyperParameters() if hyperparameters is None else hyperparameters
        self.recorder.overrule()
        self.allow_new_entries = allow_new_entries
        self.tune_new_entries = tune_new_entries
        self._stored: dict[Any, HyperParameter] = {}
        self._earlier: tuple[str, ...] = ()
        self._defined: set[Any] | None = None  # by code before the first trial of this run; trials bring up more
        self._initial: frozenset[str] = frozenset()
        self._reports: list[str] = []
        self._space = Space(())
        self.whole = bool(self.recorder.space)
        self._warned: set[str] = set()
        self.known_before: frozenset[str] = frozenset()

    @property
    def revealing(self) -> bool:
        """Whether a trial may show more to vary: it has to run before the space can be said to be exhausted."""
        may_grow = self.allow_new_entries and self.tune_new_entries and not self.whole
        return may_grow or not self.recorder.space

    def space(self) -> Space:
        """The parameters as an algorithm sees them; the same object while they stay the same."""
        parameters = tuple(self.recorder.space)
        if parameters != self._space.parameters:  # quick, for the objects are the same while nothing changes
            self._space = Space(parameters)
        return self._space

    def for_trial(self, values: Mapping[str, Any]) -> HyperParameters:
        """What user code gets: the values, and the definitions that code has made in this process."""
        copy = self.defined_by_code()
        copy.values = dict(values)
        return copy

    def for_record(self, values: Mapping[str, Any]) -> HyperParameters:
        """A trial that is over: its values, and all definitions, those of an earlier run too."""
        copy = self.recorder.copy()
        copy.values = dict(values)
        return copy

    def defined_by_code(self) -> HyperParameters:
        """A copy without the definitions that only an earlier run made."""
        if not self._stored:
            return self.recorder.copy()
        return self.recorder.without(self._stored)

    def active_values(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The values of what is active with them, defaults where they lack one; names that nobody knows are kept."""
        return active_values(self.recorder, values)

    def wanted_values(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The active values, and where code may add to the space the others too: another branch may have the names."""
        active = self.active_values(values)
        if not (self.allow_new_entries and self.tune_new_entries):
            return active
        return {**active, **{name: value for name, value in values.items() if name not in active}}

    def check(self, values: Mapping[str, Any] | HyperParameters) -> dict[str, Any]:
        """The values as the parameters have them; those that may be of a branch that nobody knows yet are kept.

        Raises:
            TypeError: `values` is not a mapping.
            ValueError: a value that its parameter cannot have.
        """
        if isinstance(values, HyperParameters):
            values = values.values
        if not isinstance(values, Mapping):
            raise TypeError(
                f"values: expected a dict of hyperparameter values by name, got {values!r}; write {{'name': value}}"
            )
        checked, full = {}, self.active_values(values)
        for name, value in values.items():
            known = [p for p in self.recorder.space if p.name == name]
            active = [p for p in known if meets(p, full)]
            legal = _legal(active or known, value) if active or (known and self.whole) else value
            checked[str(name)] = legal if active else value
        unknown = [name for name in checked if not any(p.name == name for p in self.recorder.space)]
        if unknown and not self.allow_new_entries:
            raise ValueError(
                f"values: expected names among {sorted({p.name for p in self.recorder.space})}, got {unknown}; "
                "correct the names, or allow new entries"
            )
        return checked

    def add(self, hyperparameters: HyperParameters) -> None:
        """Takes in what code has asked for.

        Raises:
            RuntimeError: there are new names, and they are not allowed.
        """
        known = {id(p) for p in self.recorder.space}
        new = []
        for parameter in hyperparameters.space:
            if id(parameter) in known:
                continue
            if not self.recorder._exists(parameter.name, parameter.conditions):
                new.append(parameter)
            elif parameter.identity in self._stored:
                self._redefine(parameter)
        if new and not self.allow_new_entries:
            raise RuntimeError(
                f"`allow_new_entries` is `False`, but found new entries {new}; "
                "add them to hyperparameters=, or allow new entries"
            )
        if new and self.tune_new_entries:
            self.recorder.merge(new)

    def _redefine(self, parameter: HyperParameter) -> None:
        stored = self._stored.pop(parameter.identity)
        if stored.definition() != parameter.definition():
            self._reports.append(f"{parameter.name} was {stored!r}, is now {parameter!r}")
            self.recorder.merge([parameter])

    def load(self, configs: Iterable[Mapping[str, Any]], initial: Iterable[str]) -> None:
        """Adds the definitions of an earlier run of the same study.

        Args:
            configs: of the stored parameters, in order.
            initial: names that were defined before the first trial of an earlier run.
        """
        stored = [deserialize(config) for config in configs]
        self._initial, self._earlier = frozenset(initial), tuple(p.name for p in stored)
        given = {p.identity: p for p in self.recorder.space}
        missing = []
        for parameter in stored:
            known = given.get(parameter.identity)
            if known is None or parameter.identity in self._stored:
                missing.append(parameter)
            elif known.definition() != parameter.definition():
                self._reports.append(f"{known.name} was {parameter!r}, is now {known!r}")
        if self.allow_new_entries and self.tune_new_entries:
            self._stored = {p.identity: p for p in missing}
            self.recorder.merge(missing)
        else:
            self._reports += [f"{p.name} is no longer defined" for p in missing]

    def settle(self) -> list[str]:
        """To be called when the code has defined all that it defines before the first trial.

        Returns:
            The names that the code has defined by now.

        Raises:
            StudyMismatch: the earlier run of this study searched other hyperparameters altogether.
        """
        if self._defined is None:
            self._defined = {p.identity for p in self.recorder.space if p.identity not in self._stored}
        defined = [p.name for p in self.recorder.space if p.identity in self._defined]
        if defined and self._earlier and not set(defined) & set(self._earlier):
            raise StudyMismatch(
                f"search space: expected at least one of the hyperparameters of the search that is kept here "
                f"({', '.join(dict.fromkeys(self._earlier))}), got {', '.join(defined)}; choose another project_name "
                "or directory, or pass overwrite=True to start over"
            )
        gone = [key for key in self._stored if defined and key[0] in self._initial]  # else trials may bring it up now
        for key in gone:
            self._reports.append(f"{key[0]} is no longer defined")
            del self._stored[key]
        if gone:
            self.recorder = self.recorder.without(gone)
        self.report()
        self.known_before = frozenset(defined)
        return defined

    def warn_of_unknown(self, method: str, values: Mapping[str, Any]) -> None:
        """Warns of values given to a method whose names a space that is whole does not have, or not in their branch."""
        known = {p.name: None for p in self.recorder.space}
        unknown = [name for name in values if name not in known and name not in self._warned]
        if unknown and known and self.whole:
            self._warned.update(unknown)
            warnings.warn(
                f"{method}: expected names among {list(known)}, got {unknown}, which have no effect unless a trial "
                "asks for them; correct the names",
                KrigeTunerWarning,
                stacklevel=5,
            )
        if known and self.whole:
            self._warn_of_inactive(method, [n for n in values if n in known], self.active_values(values))

    def _warn_of_inactive(self, method: str, names: Iterable[str], active: Mapping[str, Any]) -> None:
        inactive = [name for name in names if name not in active and name not in self._warned]
        if inactive:
            self._warned.update(inactive)
            warnings.warn(
                f"{method}: expected names that are active with {dict(active)}, got {inactive} too, which have no "
                "effect without the values that activate them; give those as well, or leave these out",
                KrigeTunerWarning,
                stacklevel=6,
            )

    def settle_enqueued(
        self, hyperparameters: HyperParameters, values: Mapping[str, Any], used: Mapping[str, Any]
    ) -> None:
        """Takes enqueued values that turned out not to be active from a trial that has ended, and warns of unused ones.

        Args:
            hyperparameters: of the trial; gets the values of `used`.
            values: that it was handed out with.
            used: that it had in the end.
        """
        hyperparameters.values = dict(used)
        asked = CONTROL | {p.name for p in [*hyperparameters.space, *self.recorder.space]}
        self._warn_of_inactive("enqueue", [n for n in values if n in asked], used)
        unused = [name for name in values if name not in asked and name not in self._warned]
        if unused:
            warnings.warn(
                f"enqueue: expected names that the code asks for, got {unused}, which no hyperparameter has; "
                "correct the names",
                KrigeTunerWarning,
                stacklevel=5,
            )

    def report(self) -> None:
        """Warns of the differences that have been found since the last report."""
        if self._reports:
            text = "; ".join(self._reports)
            self._reports = []
            warnings.warn(
                f"search space: it differs from that of the earlier run: {text}. The code's definition rules; trials "
                "that still lie in the space count, the others are kept and shown",
                KrigeTunerWarning,
                stacklevel=3,
            )

    def configs(self) -> list[dict[str, Any]]:
        """The definitions as they are recorded: KerasTuner's layout, with None for a default that nobody chose."""
        return [_config(p) for p in self.recorder.space]

    def unrecorded(self, recorded: Iterable[Mapping[str, Any]]) -> tuple[list[dict[str, Any]], list[str]] | None:
        """What has to be recorded so that the record holds the present definitions.

        Returns:
            Configs to add and names to withdraw first; None when the record is complete.
        """
        before, now = list(recorded), self.configs()
        if now == before:
            return None
        if now[: len(before)] == before:
            return now[len(before) :], []
        return now, list(dict.fromkeys(str(config["config"]["name"]) for config in before))


def active_values(hyperparameters: HyperParameters, values: Mapping[str, Any]) -> dict[str, Any]:
    """The values of the parameters that are active with them, defaults where they lack one.

    Names that `hyperparameters` does not have are kept: code may still ask for them.
    """
    known = {p.name for p in hyperparameters.space}
    active: dict[str, Any] = {name: value for name, value in values.items() if name not in known}
    for parameter in hyperparameters.space:
        if parameter.name not in active and meets(parameter, active):
            active[parameter.name] = values.get(parameter.name, parameter.default)
    return active


def space_data(hyperparameters: HyperParameters) -> dict[str, Any]:
    """A space with its values as plain data, for other processes; a default that nobody chose stays one."""
    return {"space": [_config(p) for p in hyperparameters.space], "values": dict(hyperparameters._values)}


def space_of(data: Mapping[str, Any]) -> HyperParameters:
    """The space that `space_data` described."""
    return HyperParameters.from_config(data)


def _config(parameter: HyperParameter) -> dict[str, Any]:
    config = serialize(parameter)
    if "default" in config["config"] and not parameter.default_given:
        config["config"]["default"] = None
    return config


def _legal(parameters: list[HyperParameter], value: Any) -> Any:
    """The value as one of these definitions of a name has it."""
    refusals = []
    for parameter in parameters:
        try:
            return parameter.canonical(value)
        except ValueError as error:
            refusals.append(error)
    raise refusals[0]
