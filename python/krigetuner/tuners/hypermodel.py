"""What is tuned: a class with `build` and `fit`, or a function that builds."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from functools import wraps
from inspect import getattr_static, isfunction
from typing import Any

from krigetuner.errors import FatalValueError
from krigetuner.space.asks import BUILD
from krigetuner.space.recorder import HyperParameters

_BUILDING: ContextVar[tuple[int, ...]] = ContextVar("building", default=())
"""Ids of the hypermodels whose `build` runs."""


class HyperModel:
    """Builds and trains one model of a search space. Subclass it and define `build(hp)`; `fit` may be defined too.

    Args:
        name: any name, for people.
        tunable: when False, `build` gets a copy of the hyperparameters, so that nothing it asks for enters the search
            space; what the space does not know then takes its default.
    """

    def __init__(self, name: str | None = None, tunable: bool = True) -> None:
        self.name = name
        self.tunable = tunable

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        build: Any = getattr_static(cls, "build")  # a static method stays one
        if isfunction(build) and not hasattr(build, "direct"):
            setattr(cls, "build", _through_wrapper(build))  # noqa: B010

    def build(self, hp: HyperParameters) -> Any:
        """Returns a compiled model built from the hyperparameters."""
        raise NotImplementedError(f"{type(self).__name__}.build: expected a method build(hp); define it")

    def declare_hyperparameters(self, hp: HyperParameters) -> None:
        """Asks for hyperparameters before the first `build`; does nothing unless overridden."""

    def fit(self, hp: HyperParameters, model: Any, *args: Any, **kwargs: Any) -> Any:
        """Trains `model` and returns a History, a dict of metrics, a number (the objective), or a list of those.

        Args:
            hp: hyperparameters; `fit` may ask for more (batch_size, epochs).
            model: what `build` returned.
            *args: those of `search`.
            **kwargs: those of `search`; `callbacks` is always among them and must reach `model.fit`.
        """
        return model.fit(*args, **kwargs)

    def _build_wrapper(self, hp: HyperParameters, *args: Any, **kwargs: Any) -> Any:
        """What a call of `build` runs; AutoKeras' blocks override it to open a name scope."""
        return self._build(hp if getattr(self, "tunable", True) else hp.copy(), *args, **kwargs)

    def _is_building(self) -> bool:
        """Whether `build` runs; a method, since a wrapper of a script's own class takes the names it uses along."""
        return id(self) in _BUILDING.get()

    def _build(self, hp: HyperParameters, *args: Any, **kwargs: Any) -> Any:
        """`build` itself."""
        if isinstance(hp, HyperParameters):
            hp._note(BUILD)
        token = _BUILDING.set((*_BUILDING.get(), id(self)))
        try:
            return self.build(hp, *args, **kwargs)
        finally:
            _BUILDING.reset(token)


def _through_wrapper(build: Callable[..., Any]) -> Callable[..., Any]:
    """`build`, called through `_build_wrapper` unless that is what calls it, or a `build` of the same object is."""

    @wraps(build)
    def wrapped(self: HyperModel, hp: HyperParameters, *args: Any, **kwargs: Any) -> Any:
        if self._is_building():
            return build(self, hp, *args, **kwargs)
        return self._build_wrapper(hp, *args, **kwargs)

    wrapped.direct = build  # type: ignore[attr-defined]
    return wrapped


class DefaultHyperModel(HyperModel):
    """A hypermodel made of a function `build(hp)`."""

    def __init__(self, build: Callable[[HyperParameters], Any]) -> None:
        super().__init__(name=getattr(build, "__name__", None))
        self.function = build

    def build(self, hp: HyperParameters) -> Any:
        """Calls the function."""
        return self.function(hp)


def as_hypermodel(hypermodel: Any) -> Any:
    """The hypermodel itself, a function wrapped as one, or None for None.

    Raises:
        FatalValueError: it is neither a `HyperModel` nor callable.
    """
    if hypermodel is None or isinstance(hypermodel, HyperModel):
        return hypermodel
    if isinstance(hypermodel, type) and issubclass(hypermodel, HyperModel):
        raise FatalValueError(
            f"hypermodel: expected an instance, got the class {hypermodel.__name__}; write {hypermodel.__name__}()"
        )
    if callable(hypermodel):
        return DefaultHyperModel(hypermodel)
    raise FatalValueError(
        "The `hypermodel` argument should be either a callable with signature `build(hp)` or an instance of "
        f"`HyperModel`, got {hypermodel!r} of type {type(hypermodel).__name__}; pass a function that returns a "
        "compiled model"
    )
