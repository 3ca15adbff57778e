"""HyperParameters, the `hp` of user code: it hands out values and records what was asked for."""

from __future__ import annotations

import contextlib
import warnings
from collections import defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping
from typing import Any

from krigetuner.errors import KrigeTunerWarning
from krigetuner.protos import conversion
from krigetuner.space.activity import meets, parent_names
from krigetuner.space.asks import Asks
from krigetuner.space.conditions import Condition, Parent, Value
from krigetuner.space.parameters import Boolean, Choice, Fixed, Float, HyperParameter, Int, deserialize, serialize


class HyperParameters:
    """A search space that grows as it is asked, and the current values of its active parameters.

    Attributes:
        values: the values of the active parameters by name; nobody can depend on an inactive one.
        active_scopes, inactive_scopes: the conditions of every conditional scope that was entered, so that a tuner can
            visit each of them once.
    """

    _asks: Asks | None = None

    def __init__(self) -> None:
        self._values: dict[str, Any] = {}
        self.active_scopes: list[list[Condition]] = []
        self.inactive_scopes: list[list[Condition]] = []
        self._name_scopes: list[str] = []
        self._conditions: list[Condition] = []
        self._hps: defaultdict[str, list[HyperParameter]] = defaultdict(list)
        self._space: list[HyperParameter] = []
        self._warned: set[str] = set()  # shared with copies, so that a search warns once and not once a trial

    @property
    def values(self) -> dict[str, Any]:
        """The values of the active parameters by name."""
        self._note_everything()
        return self._values

    @values.setter
    def values(self, values: dict[str, Any]) -> None:
        self._note_everything()
        self._values = values

    @property
    def space(self) -> list[HyperParameter]:
        """All parameters, active or not, in the order in which they were first asked for."""
        return self._space

    @contextlib.contextmanager
    def name_scope(self, name: str) -> Iterator[None]:
        """Prefixes the names asked for inside with `name/`; scopes nest."""
        self._name_scopes.append(name)
        try:
            yield
        finally:
            self._name_scopes.pop()

    @contextlib.contextmanager
    def conditional_scope(self, parent_name: str, parent_values: Any) -> Iterator[None]:
        """Makes what is asked for inside active only while the parent has one of some values; scopes nest.

        The code inside runs in any case, and gets None for inactive parameters.

        Raises:
            ValueError: the parent was not asked for before.
        """
        name = self._get_name(parent_name)
        if not self._hps.get(name):
            raise ValueError(
                f"`HyperParameter` named: {name} not defined. parent_name: ask for it first; known: {self._known()}"
            )
        condition = Parent(name, parent_values)
        self._note(name)
        self._conditions.append(condition)
        scopes = self.active_scopes if condition.is_active(self._values) else self.inactive_scopes
        scopes.append(list(self._conditions))
        try:
            yield
        finally:
            self._conditions.pop()

    def Int(
        self,
        name: str,
        min_value: int,
        max_value: int,
        step: int | None = None,
        sampling: str | None = "linear",
        default: int | None = None,
        parent_name: str | None = None,
        parent_values: Any = None,
    ) -> Any:
        """A whole number from `min_value` to `max_value`, both included; None while inactive. See `Int`.

        Args:
            parent_name, parent_values: as in `conditional_scope`.
        """
        with self._maybe_conditional_scope(parent_name, parent_values):
            return self._retrieve(
                Int(self._get_name(name), min_value, max_value, step, sampling, default, self._conditions)
            )

    def Float(
        self,
        name: str,
        min_value: float,
        max_value: float,
        step: float | None = None,
        sampling: str | None = "linear",
        default: float | None = None,
        parent_name: str | None = None,
        parent_values: Any = None,
    ) -> Any:
        """A real number from `min_value` to `max_value`, both included; None while inactive. See `Float`.

        Args:
            parent_name, parent_values: as in `conditional_scope`.
        """
        with self._maybe_conditional_scope(parent_name, parent_values):
            return self._retrieve(
                Float(self._get_name(name), min_value, max_value, step, sampling, default, self._conditions)
            )

    def Choice(
        self,
        name: str,
        values: Any,
        ordered: bool | None = None,
        default: Value | None = None,
        parent_name: str | None = None,
        parent_values: Any = None,
    ) -> Any:
        """One of several values of one type; None while inactive. See `Choice`.

        Args:
            parent_name, parent_values: as in `conditional_scope`.
        """
        with self._maybe_conditional_scope(parent_name, parent_values):
            return self._retrieve(Choice(self._get_name(name), values, ordered, default, self._conditions))

    def Boolean(
        self, name: str, default: bool = False, parent_name: str | None = None, parent_values: Any = None
    ) -> Any:
        """True or False; None while inactive.

        Args:
            parent_name, parent_values: as in `conditional_scope`.
        """
        with self._maybe_conditional_scope(parent_name, parent_values):
            return self._retrieve(Boolean(self._get_name(name), default, self._conditions))

    def Fixed(self, name: str, value: Value, parent_name: str | None = None, parent_values: Any = None) -> Any:
        """A value that is not tuned; None while inactive.

        Args:
            parent_name, parent_values: as in `conditional_scope`.
        """
        with self._maybe_conditional_scope(parent_name, parent_values):
            return self._retrieve(Fixed(self._get_name(name), value, self._conditions))

    def get(self, name: str) -> Any:
        """The current value of an active parameter.

        Raises:
            ValueError: it is inactive now.
            KeyError: it was never asked for.
        """
        name = self._get_name(name)
        self._note(name)
        if name in self._values:
            return self._values[name]
        if self._hps.get(name):
            conditions = " or ".join(str(p.conditions) for p in self._hps[name])
            raise ValueError(f"{name} is currently inactive. It has a value only where {conditions} holds")
        raise KeyError(f"{name} does not exist. Known: {self._known()}")

    def __getitem__(self, name: str) -> Any:
        return self.get(name)

    def __contains__(self, name: object) -> bool:
        full = self._get_name(name)
        self._note(full)
        return full in self._values

    def is_active(self, hyperparameter: str | HyperParameter) -> bool:
        """Whether the conditions of a parameter, or of any with that name, hold."""
        known = [hyperparameter] if isinstance(hyperparameter, HyperParameter) else self._hps.get(hyperparameter, [])
        for name in (name for parameter in known for name in parent_names(parameter)):
            self._note(name)
        return self._active(hyperparameter)

    def _active(self, hyperparameter: str | HyperParameter) -> bool:
        if isinstance(hyperparameter, HyperParameter):
            return meets(hyperparameter, self._values)
        return any(meets(p, self._values) for p in self._hps.get(str(hyperparameter), ()))

    def merge(self, hps: HyperParameters | Iterable[HyperParameter], overwrite: bool = True) -> None:
        """Adds the parameters of another space.

        Args:
            hps: the other space, or a list of parameters.
            overwrite: whether its definitions and defaults replace those of the same name and conditions here.
        """
        for parameter in list(hps.space if isinstance(hps, HyperParameters) else hps):
            if overwrite or not self._exists(parameter.name, parameter.conditions):
                self._register(parameter, overwrite)

    def copy(self) -> HyperParameters:
        """A space with the same parameters and values of its own, and no scopes entered."""
        twin = type(self)()
        twin._hps.update((name, list(parameters)) for name, parameters in self._hps.items())
        twin._space = list(self._space)
        twin._values, twin._asks = dict(self._values), self._asks
        twin._warned = self._warned
        return twin

    def __getstate__(self) -> dict[str, Any]:
        """What is pickled or copied: who asks the copy is not seen here."""
        state = {**vars(self), "_asks": None if self._asks is None else self._asks.copy()}
        self._note_everything()
        return state

    def without(self, identities: Container[Any]) -> HyperParameters:
        """A copy that lacks the parameters with these identities, and the values of names that it does not have."""
        twin = type(self)()
        for parameter in self._space:
            if parameter.identity not in identities:
                twin._add(parameter)
        twin._values = {name: value for name, value in self._values.items() if name in twin._hps}
        twin._warned = self._warned
        return twin

    def overrule(self) -> None:
        """Says that the present definitions are meant to stand against others of the same name, without a warning."""
        self._warned.update(self._hps)

    def ensure_active_values(self) -> None:
        """Drops the values of inactive parameters, and draws one for active parameters that have none."""
        for parameter in self._space:
            if self._active(parameter):
                if parameter.name not in self.values:
                    self.values[parameter.name] = parameter.random_sample()
            elif not self._active(parameter.name):
                self.values.pop(parameter.name, None)

    def get_config(self) -> dict[str, Any]:
        """Plain data that `from_config` turns back into an equal space (KerasTuner's layout)."""
        return {"space": [serialize(p) for p in self._space], "values": dict(self.values)}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> HyperParameters:
        """The space that `get_config` described."""
        made = cls()
        for entry in config["space"]:
            made._add(deserialize(entry))
        made.values = dict(config["values"])
        return made

    def to_proto(self) -> Any:
        """The space and its values as a message of KerasTuner's protocol, the parameters grouped by kind."""
        return conversion.space_message(self.get_config())

    @classmethod
    def from_proto(cls, proto: Any) -> HyperParameters:
        """The space that `to_proto` described; of a message of values alone one in which every value is fixed."""
        return cls.from_config(conversion.space_config(proto))

    def _exists(self, name: str, conditions: list[Condition] | None = None) -> bool:
        """Whether a parameter has this name and these conditions (the present scope's when None)."""
        return self._find(name, self._conditions if conditions is None else conditions) is not None

    def _find(self, name: str, conditions: list[Condition]) -> HyperParameter | None:
        for parameter in self._hps.get(name, ()):
            if parameter.conditions == conditions:
                return parameter
        return None

    def _retrieve(self, hp: HyperParameter) -> Any:
        """The value of a parameter, which is registered if it is new; None while inactive."""
        self._note(hp.name)
        known = self._find(hp.name, hp.conditions)
        if known is None:
            return self._register(hp)
        if known.name not in self._warned and known.definition() != hp.definition():
            self._warn_once(
                known.name,
                f"{known.name}: expected one definition for this name and its conditions, got a second one; "
                f"the first stands. First: {known!r}. Now: {hp!r}. Give the second another name, or drop one of them",
            )
        if not self._active(known):
            return None
        if known.name not in self._values:
            self._values[known.name] = known.default
        return self._values[known.name]

    def _register(self, hyperparameter: HyperParameter, overwrite: bool = False) -> Any:
        """Adds a parameter, in the place of the one of the same name and conditions if there is one."""
        self._validate_name(hyperparameter.name)
        known = self._find(hyperparameter.name, hyperparameter.conditions)
        if known is None:
            self._add(hyperparameter)
        else:
            same_name = self._hps[known.name]
            same_name[same_name.index(known)] = hyperparameter
            self._space[self._space.index(known)] = hyperparameter
        if not self._active(hyperparameter):
            return None
        name = hyperparameter.name
        if overwrite or name not in self._values:
            self._values[name] = hyperparameter.default
        elif not any(p is not hyperparameter and self._active(p) for p in self._hps[name]):
            admitted = hyperparameter.admitted(self._values[name])
            if admitted is None:
                self._warn_once(
                    name,
                    f"{name}: expected a value of {hyperparameter!r}, got {self._values[name]!r} from before; "
                    "the default is taken",
                )
            self._values[name] = hyperparameter.default if admitted is None else admitted
        return self._values[name]

    def _watch(self) -> None:
        """Begins to note which values code asks for, of copies too."""
        self._asks = Asks()

    def _note(self, name: str) -> None:
        if self._asks is not None:
            self._asks.add(name)

    def _note_everything(self) -> None:
        if self._asks is not None:
            self._asks.add_everything()

    def _warn_once(self, name: str, text: str) -> None:
        if name not in self._warned:
            self._warned.add(name)
            warnings.warn(text, KrigeTunerWarning, stacklevel=5)

    def _add(self, parameter: HyperParameter) -> None:
        self._hps[parameter.name].append(parameter)
        self._space.append(parameter)

    @contextlib.contextmanager
    def _maybe_conditional_scope(self, parent_name: str | None, parent_values: Any) -> Iterator[None]:
        if not parent_name:
            yield
            return
        with self.conditional_scope(parent_name, parent_values):
            yield

    def _get_name(self, name: object) -> str:
        return "/".join([*self._name_scopes, str(name)])

    def _known(self) -> str:
        return ", ".join(name for name, parameters in self._hps.items() if parameters) or "none"

    def _validate_name(self, name: str) -> None:
        if any(isinstance(c, Parent) and c.name == name for c in self._conditions):
            raise ValueError(
                "A conditional `HyperParameter` cannot have the same name as its parent. "
                f"Found: {name} and parent_name: {name}; rename one of them"
            )


def deserialize_any(config: Mapping[str, Any]) -> HyperParameters | HyperParameter:
    """The parameter, or the whole space, that `serialize` described.

    Raises:
        ValueError: a class that is neither.
    """
    if config.get("class_name") == HyperParameters.__name__:
        return HyperParameters.from_config(config["config"])
    return deserialize(config)
