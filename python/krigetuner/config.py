"""Settings of this process."""

from __future__ import annotations

from krigetuner.backend import registry

__all__ = ["backends_available", "get_backend", "set_backend"]


def set_backend(name: str | None) -> None:
    """Chooses what computes the suggestions, before KRIGETUNER_BACKEND.

    Args:
        name: "auto" (the C++ core, else numpy), "cpp", "cuda" or "numpy"; None returns to KRIGETUNER_BACKEND. A backend
            that cannot be used here raises `krigetuner.errors.BackendUnavailable` at its first use.

    Raises:
        ValueError: for another name.
    """
    registry.set_backend(name)


def get_backend() -> str:
    """The name of the backend in use: "cpp", "cuda" or "numpy"; "auto" is resolved by loading it.

    Raises:
        BackendUnavailable: the backend that was asked for cannot be used here.
    """
    return registry.get_backend().name


def backends_available() -> list[str]:
    """The names of the backends that can be used here."""
    absent = registry.why_absent()
    return [name for name in registry.BACKENDS if name not in absent]
