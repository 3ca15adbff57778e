"""The names `keras_tuner` and `kerastuner` in `sys.modules`."""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec, spec_from_loader
from types import ModuleType
from typing import Any

from krigetuner.adapters.global_settings import FIRST

OURS = "krigetuner"
NAMES = ("keras_tuner", "kerastuner")
VERSION = "1.4.8"
"""The release of KerasTuner whose interface is offered: what code that asks for the version wants to know."""

MOVED = {
    "api_export": "krigetuner.compat.api_export",
    "applications.augment": "krigetuner.tuners.applications.image_augment",
    "applications.efficientnet": "krigetuner.tuners.applications.efficientnet",
    "applications.resnet": "krigetuner.tuners.applications.resnet",
    "applications.xception": "krigetuner.tuners.applications.xception",
    "backend": "krigetuner.compat.framework",
    "backend.config": "krigetuner.compat.framework_config",
    "backend.keras": "keras",
    "engine.hyperparameters.hp_types": "krigetuner.engine.hyperparameters",
    "engine.hyperparameters.hyperparameter": "krigetuner.engine.hyperparameters",
    "engine.hyperparameters.hyperparameters": "krigetuner.engine.hyperparameters",
    "protos.keras_tuner_pb2": "krigetuner.protos",
    "protos.kerastuner_pb2": "krigetuner.protos",
}
"""Modules of KerasTuner's that lie elsewhere. Others lie where they do there, with or without `src.` before them."""

SHARED = ("applications", "engine.hyperparameters", "protos")
"""Packages that we have, too, but not every module in them."""


class _Package(ModuleType):
    """KrigeTuner under another name: its own `__version__`, everything public read from and written to KrigeTuner."""

    def __getattr__(self, name: str) -> Any:
        """Whatever KrigeTuner has; a module that lies elsewhere is the one from there."""
        if name in MOVED:
            return importlib.import_module(f"{self.__name__}.{name}")
        return getattr(importlib.import_module(OURS), name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name.startswith("__") or name in MOVED:  # `backend` is another room of ours, which keeps its name
            super().__setattr__(name, value)
        else:
            setattr(importlib.import_module(OURS), name, value)

    def __delattr__(self, name: str) -> None:
        delattr(importlib.import_module(OURS), name)

    def __dir__(self) -> list[str]:
        return dir(importlib.import_module(OURS))

    def __reduce__(self) -> Any:
        """Code that travels to another process imports it there, as it would any other module."""
        return importlib.import_module, (self.__name__,)


class _Present(Loader):
    """Loads a module that exists under its own name: the module itself is what the other name gets."""

    def __init__(self, target: str) -> None:
        self._target = target

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """The package gets a module of its own; the others are replaced when they are executed."""
        return _Package(spec.name) if self._target == OURS else None

    def exec_module(self, module: ModuleType) -> None:
        """Puts the module in its place."""
        if self._target != OURS:
            sys.modules[module.__name__] = importlib.import_module(self._target)
            return
        module.__version__ = VERSION  # type: ignore[attr-defined]
        module.__path__ = []  # so that nobody loads our files a second time, under the other name
        if module.__name__ == NAMES[1]:
            warnings.warn(
                "`import kerastuner` is deprecated, please use `import keras_tuner` or `import krigetuner`",
                DeprecationWarning,
                stacklevel=2,
            )


class _Finder(MetaPathFinder):
    """Finds KerasTuner's modules among ours."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """How to load a module of one of the two names; None for all others, and for those that we lack."""
        name = target_of(fullname)
        if name is None or (name != OURS and find_spec(name) is None):
            return None
        return spec_from_loader(fullname, _Present(name), is_package=name == OURS)


_FINDER = _Finder()


def target_of(fullname: str) -> str | None:
    """Our name of a module of KerasTuner's; None when the name is none of its.

    `from keras_tuner.applications import resnet` asks for `krigetuner.applications.resnet`: the package is ours.
    """
    package, _, rest = fullname.partition(".")
    if package == OURS:
        return MOVED.get(rest) if rest.rpartition(".")[0] in SHARED else None
    if package not in NAMES:
        return None
    rest = f"{rest}.".removeprefix("src.").rstrip(".")
    return MOVED.get(rest, f"{OURS}.{rest}".rstrip("."))


def installed() -> bool:
    """Whether the names stand for KrigeTuner in this process."""
    return _FINDER in sys.meta_path


def install() -> None:
    """Makes `keras_tuner` and `kerastuner`, and all their modules, names of KrigeTuner's in this process.

    Raises:
        RuntimeError: one of them has been imported already, so that code holds the other package's classes.
    """
    if installed():
        return
    early = [name for name in NAMES if name in sys.modules]
    if early:
        where = getattr(sys.modules[early[0]], "__file__", None) or "an unknown place"
        raise RuntimeError(
            f"krigetuner.compat.install(): expected {early[0]} not to be imported yet, got the one from {where}; call "
            "install() before everything that imports it, or run the script with python -m krigetuner.compat"
        )
    sys.meta_path.insert(0, _FINDER)
    FIRST.append(install)


def uninstall() -> None:
    """Gives the names back; what was imported under them stays KrigeTuner's."""
    if installed():
        sys.meta_path.remove(_FINDER)
        FIRST.remove(install)
        for name in [n for n in sys.modules if n.partition(".")[0] in NAMES]:
            del sys.modules[name]
