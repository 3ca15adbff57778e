"""The files of a Keras trial: the best weights, how to build the model again, and where its training stands.

Where the training of a trial ended is kept too, for each execution, as long as another trial may go on from there.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np

from krigetuner.store.artifacts import kept_whole, remove_leftovers

BEST = "checkpoint.weights.h5"
BUILD = "build_config.json"
STATE = "training.json"
KEPT = ".npz"
LAST = "last-{}.weights.h5"
LAYOUT = "last.json"
CANDIDATE = "step-"
SHARE = 0.1
"""At most this share of the time between two epochs goes into saving where the training stands."""

logger = logging.getLogger(__name__)

Kept = Mapping[int, Sequence[Any]]
"""Weights that callbacks hold, by the place of the callback in the list."""


class Checkpoints:
    """Files in the directory of one trial. Each is written beside and renamed, so that a kill leaves the former one.

    Args:
        directory: of the trial; made with the first file.
    """

    def __init__(self, directory: str | Path) -> None:
        self.directory = Path(directory)
        self.best = self.directory / BEST
        self.build = self.directory / BUILD
        self.state = self.directory / STATE
        self._saved = 0.0
        self._cost = 0.0

    def due(self) -> bool:
        """Whether saving now costs little beside the time since it was done last."""
        return time.monotonic() - self._saved >= self._cost / SHARE

    def save_best(self, model: Any) -> None:
        """Saves the weights as the trial's best."""
        _save_weights(model, self.best)
        self.save_build(model)

    def save_candidate(self, model: Any, step: int) -> None:
        """Saves the weights of a step before it is known whether it is the best."""
        for path, _ in self._candidates():
            path.unlink()
        _save_weights(model, self.directory / f"{CANDIDATE}{int(step)}.weights.h5")
        self.save_build(model)

    def settle(self, rejected: Callable[[int], bool]) -> None:
        """Makes the candidate the trial's best weights, or removes it when its step is `rejected`."""
        for path, step in self._candidates():
            if not rejected(step):
                self._link_best(path)
            path.unlink()

    def _candidates(self) -> list[tuple[Path, int]]:
        found = list(self.directory.glob(f"{CANDIDATE}*.weights.h5"))
        return [(path, int(path.name.removeprefix(CANDIDATE).split(".")[0])) for path in found]

    def save_build(self, model: Any) -> None:
        """Saves the shapes that a model without an input layer is built from."""
        config = _build_config(model)
        if config is not None:
            _write(self.build, config)

    def save_state(self, model: Any, state: Mapping[str, Any], best: bool, kept: Kept | None = None) -> None:
        """Saves where the training stands: weights with the optimizer's variables, and `state`.

        All weights come first, then `state` that names them, then the link that makes them the trial's best: whenever a
        kill or a power cut comes, what `state` names is there, and whole.

        Args:
            model: that trains.
            state: plain data.
            best: whether these weights are the trial's best so far.
            kept: weights that callbacks hold.
        """
        began = time.monotonic()
        former = self._weights_files()
        # Not a number that is counted up: the process that goes on may have the pid of the one that was cut short, and
        # would overwrite the weights that the present `state` names.
        weights = self.directory / f"training-{uuid4().hex}.weights.h5"
        _save_weights(model, weights, lasting=True)
        if not weights.exists():
            return
        if kept:
            _save_kept(kept, weights.with_suffix(KEPT))
        named = {**state, "weights": weights.name, "build": _build_config(model), "is_best": best}
        _write(self.state, named, lasting=True)
        _flush_directory(self.directory)  # the new names before the former file goes
        for path in former:
            path.unlink(missing_ok=True)
        if best:
            self._make_best(weights)
        self._saved = time.monotonic()
        self._cost = self._saved - began

    def _make_best(self, weights: Path) -> None:
        """These weights are the best, of a model that is built as `state` says."""
        self._link_best(weights)
        if not self.build.exists():
            config = json.loads(self.state.read_text(encoding="utf-8")).get("build")
            if config is not None:
                _write(self.build, config)

    def _link_best(self, weights: Path) -> None:
        """The same file under the name of the best weights."""
        with kept_whole(self.best) as path:
            try:
                os.link(weights, path)
            except OSError:  # another file system, or one without hard links
                shutil.copyfile(weights, path)
                _flush(path)

    def load_state(self) -> dict[str, Any] | None:
        """Where the training stood; None when there is nothing to go on from."""
        remove_leftovers(self.directory)
        try:
            state: dict[str, Any] = json.loads(self.state.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except ValueError as error:
            logger.warning("%s cannot be read, the trial starts again: %s", self.state, error)
            return None
        weights = self.directory / state["weights"]
        if not weights.exists():
            return None
        if state["is_best"]:
            self._make_best(weights)
        return state

    def restore(self, model: Any, state: Mapping[str, Any]) -> None:
        """Puts the weights and the optimizer's variables of `state` into a model."""
        _load(model, self.directory / state["weights"], state.get("build"))

    def kept(self, state: Mapping[str, Any]) -> Kept:
        """The weights that callbacks held, as `save_state` got them."""
        path = (self.directory / state["weights"]).with_suffix(KEPT)
        found: dict[int, list[Any]] = {}
        if path.exists():
            with np.load(path) as arrays:
                for name in arrays.files:
                    found.setdefault(int(name.split("-")[0]), []).append(arrays[name])
        return found

    def load_best(self, model: Any) -> None:
        """Puts the trial's best weights into a model.

        Raises:
            FileNotFoundError: none were saved, or they were not kept.
        """
        if not self.best.exists():
            raise FileNotFoundError(f"checkpoint: expected the trial's best weights in {self.best}, got no such file")
        self.load(model, self.best)

    def save_last(self, model: Any, execution: int, layout: str = "") -> None:
        """Saves where the training of an execution ended: weights with the optimizer's variables.

        Args:
            layout: of the executions, see `Training`; another one cannot go on from here.
        """
        self.save_build(model)
        _write(self.directory / LAYOUT, {**self._layouts(), str(execution): layout})
        _save_weights(model, self.directory / LAST.format(execution))

    def last(self, execution: int, layout: str = "") -> Path | None:
        """The weights with which an execution ended; None when they are not there, or belong to another layout."""
        path = self.directory / LAST.format(execution)
        return path if path.exists() and self._layouts().get(str(execution)) == layout else None

    def _layouts(self) -> dict[str, str]:
        """The layout of each execution whose last weights were saved."""
        path = self.directory / LAYOUT
        found: dict[str, str] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        return found

    def load(self, model: Any, weights: Path) -> None:
        """Puts weights of this trial, and the optimizer's variables with them, into a model.

        Raises:
            OSError, ValueError, KeyError: they do not fit.
        """
        config = json.loads(self.build.read_text(encoding="utf-8")) if self.build.exists() else None
        _load(model, weights, config)

    def remove_last(self) -> None:
        """Removes the weights with which executions ended, and the directory when nothing else is in it."""
        if (self.directory / LAYOUT).exists():
            for path in [*self.directory.glob(LAST.format("*")), self.directory / LAYOUT]:
                path.unlink(missing_ok=True)
            self._tidy()

    def remove_state(self) -> None:
        """Forgets where the training stood."""
        self.state.unlink(missing_ok=True)
        for path in self._weights_files():
            path.unlink(missing_ok=True)

    def remove_best(self) -> None:
        """Removes the best weights, and the directory when nothing else is in it."""
        for path in (self.best, *(path for path, _ in self._candidates())):
            path.unlink(missing_ok=True)
        self._tidy()

    def _tidy(self) -> None:
        """Removes what is of no use without weights."""
        if not self.best.exists() and not (self.directory / LAYOUT).exists():
            self.build.unlink(missing_ok=True)
        if self.directory.is_dir() and not any(self.directory.iterdir()):
            self.directory.rmdir()

    def _weights_files(self) -> list[Path]:
        return list(self.directory.glob("training-*.weights.*"))


def _save_weights(model: Any, path: Path, lasting: bool = False) -> None:
    """Saves weights; a model whose own `save_weights` writes nothing can be tuned, and has no weights to load.

    Args:
        lasting: whether they have to be on the disk before they get their name.
    """
    with kept_whole(path, optional=True) as beside:
        model.save_weights(str(beside))
        if lasting and beside.is_file():
            _flush(beside)


def _save_kept(kept: Kept, path: Path) -> None:
    """Saves arrays in order; NumPy's files do not know bfloat16, which models take from float32 as well."""
    named = {f"{i}-{n}": array for i, arrays in kept.items() for n, array in enumerate(arrays)}
    plain = {name: array.astype("float32") if array.dtype.kind == "V" else array for name, array in named.items()}
    with kept_whole(path) as beside:
        with beside.open("wb") as file:
            np.savez(file, **plain)
        _flush(beside)


def _load(model: Any, weights: Path, build: Mapping[str, Any] | None) -> None:
    """Builds what is not built, the optimizer too, then loads."""
    if not model.built and build is not None:
        model.build_from_config(dict(build))
        if not model.built and model.layers and all(layer.built for layer in model.layers):
            model.built = True  # Keras builds the layers of a subclassed model and leaves the model's own mark out
    optimizer = getattr(model, "optimizer", None)
    if optimizer is not None and not optimizer.built:
        optimizer.build(model.trainable_variables)
    model.load_weights(str(weights))


def _build_config(model: Any) -> Any:
    """The model's build config as plain data, None where it has none."""
    config = model.get_build_config()
    try:
        return json.loads(json.dumps(config))
    except TypeError:  # shapes that are not plain data belong to models that build themselves
        return None


def _write(path: Path, data: Any, lasting: bool = False) -> None:
    with kept_whole(path) as beside:
        beside.write_text(json.dumps(data), encoding="utf-8")
        if lasting:
            _flush(beside)


def _flush(path: Path) -> None:
    """Waits until the contents of a file are on the disk: renamed before, it could be empty after a power cut."""
    with path.open("r+b") as file:
        os.fsync(file.fileno())


def _flush_directory(path: Path) -> None:
    """Waits until the names in a directory are on the disk, where the system can."""
    with suppress(OSError):  # Windows does not open directories
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
