"""What is tuned: a class with `build` and `fit`, or a function that builds."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from inspect import isfunction
from typing import Any

from krigetuner.errors import FatalValueError
from krigetuner.space.recorder import HyperParameters


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
        build = cls.__dict__.get("build")
        if isfunction(build):
            setattr(cls, "build", _frozen_unless_tunable(build))  # noqa: B010

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


def _frozen_unless_tunable(build: Callable[..., Any]) -> Callable[..., Any]:
    """`build` with a copy of the hyperparameters where the model is not tunable."""

    @wraps(build)
    def wrapped(self: HyperModel, hp: HyperParameters, *args: Any, **kwargs: Any) -> Any:
        return build(self, hp if getattr(self, "tunable", True) else hp.copy(), *args, **kwargs)

    return wrapped


class FunctionHyperModel(HyperModel):
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
        return FunctionHyperModel(hypermodel)
    raise FatalValueError(
        "The `hypermodel` argument should be either a callable with signature `build(hp)` or an instance of "
        f"`HyperModel`, got {hypermodel!r} of type {type(hypermodel).__name__}; pass a function that returns a "
        "compiled model"
    )
