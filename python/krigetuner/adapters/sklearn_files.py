"""Fitted scikit-learn models in files: by skops, or by joblib, whose pickles run code, when asked for by name."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal, get_args

from krigetuner.adapters.sklearn_parts import PARTS
from krigetuner.errors import MissingDependency
from krigetuner.store.artifacts import kept_whole

ModelFormat = Literal["skops", "joblib"]
OTHERS = ("model.skops", "model.joblib", "model.pickle")
"""Files in which a trial's model may lie; the last is KerasTuner's."""


class UntrustedTypes(TypeError):
    """A stored model holds types that are not known to be harmless.

    Attributes:
        types: their full names.
    """

    def __init__(self, message: str, types: list[str]) -> None:
        super().__init__(message)
        self.types = types


def checked_format(model_format: Any) -> ModelFormat:
    """The name of a format.

    Raises:
        ValueError: it is neither "skops" nor "joblib".
    """
    if model_format not in get_args(ModelFormat):
        raise ValueError(
            f'model_format: expected "skops" or "joblib", got {model_format!r}; "joblib" writes a pickle, which runs '
            "code when it is loaded"
        )
    return model_format  # type: ignore[no-any-return]


def skops_io() -> Any:
    """The module `skops.io`.

    Raises:
        MissingDependency: skops is not installed.
    """
    try:
        import skops.io
    except ModuleNotFoundError as error:
        raise MissingDependency(
            "model_format: expected skops, which stores models without pickle and is not installed; pip install "
            "'krigetuner[sklearn]', or choose model_format=\"joblib\""
        ) from error
    return skops.io


def save(model: Any, directory: Path, model_format: ModelFormat) -> Path:
    """Writes a fitted model into a trial's directory, whole or not at all; returns the file.

    Raises:
        MissingDependency: "skops" is not installed.
        Exception: what skops or joblib raises for a model that it cannot store.
    """
    path = directory / f"model.{model_format}"
    dump = _joblib().dump if model_format == "joblib" else skops_io().dump
    with kept_whole(path) as beside:
        dump(model, str(beside))
    return path


def load(directory: Path, model_format: ModelFormat, trusted: Iterable[str]) -> Any:
    """Reads a trial's model.

    Args:
        directory: of the trial.
        model_format: a file of another format is never read.
        trusted: full names of types that may be made, beside those of scikit-learn's own models.

    Raises:
        FileNotFoundError: there is none in this format.
        UntrustedTypes: types would be made that are not trusted; the message says how to allow them.
        ValueError: the file is damaged.
        MissingDependency: "skops" is not installed.
    """
    path = directory / f"model.{model_format}"
    if not path.exists():
        raise FileNotFoundError(_absent(path))
    if model_format == "joblib":
        return _joblib().load(path)
    io, allowed = skops_io(), {*trusted, *PARTS}
    try:
        found = list(io.get_untrusted_types(file=path))
    except Exception as error:  # a damaged file may raise anything
        raise ValueError(
            f"load_model: expected a model written by skops in {path}, got {type(error).__name__}: {error}; search "
            "again with the data to write it anew"
        ) from error
    unknown = sorted(set(found) - allowed)
    if unknown:
        raise UntrustedTypes(
            f"load_model: expected trusted types only in {path}, got {unknown}; when you know them all, give the tuner "
            f"trusted={unknown}",
            unknown,
        )
    return io.load(path, trusted=found)


def untrusted_types(path: Path) -> list[str]:
    """Full names of the types in a file of skops that nobody trusts yet; none in a file of another format."""
    return list(skops_io().get_untrusted_types(file=path)) if path.suffix == ".skops" else []


def _absent(path: Path) -> str:
    there = [name for name in OTHERS if (path.parent / name).exists()]
    message = (
        f"load_model: expected the model of the trial in {path}, got no such file; unless refit=False, search(X, y) "
        "fits it again"
    )
    if not there:
        return message + ", and at its end stores the best one"
    if there[0] == "model.pickle":
        return message + "; model.pickle is KerasTuner's and is not read, since loading a pickle runs code"
    remedy = there[0].removeprefix("model.")
    warning = ", when you trust it: loading it runs code" if remedy == "joblib" else ""
    return message + f'; {there[0]} is there: SklearnTuner(model_format="{remedy}") reads it{warning}'


def _joblib() -> Any:
    import joblib

    return joblib
