"""Which KrigeTuner this is."""

from __future__ import annotations

from importlib import metadata


def version() -> str:
    """This package's version; "unknown" in a source tree that is not installed."""
    try:
        return metadata.version("krigetuner")
    except metadata.PackageNotFoundError:
        return "unknown"
