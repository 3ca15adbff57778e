"""What a bug report needs: versions, the backend in use and why others are not, the processor and the GPU."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from importlib import metadata
from pathlib import Path

from krigetuner.backend import registry
from krigetuner.errors import BackendUnavailable

__all__ = ["show_versions", "versions"]

PACKAGES = (
    "krigetuner", "numpy", "scipy", "pandas", "sqlalchemy", "rich", "threadpoolctl", "cloudpickle", "keras",
    "tensorflow", "tensorflow-cpu", "jax", "torch", "scikit-learn", "skops", "keras-tuner", "tensorboard", "protobuf",
    "grpcio", "ray", "fsspec", "psycopg",
)  # fmt: skip
NEEDED = PACKAGES[: PACKAGES.index("keras") + 1]
"""These are listed when they are absent, too."""
GPU_QUERY = ["nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"]


def versions() -> dict[str, str]:
    """What `show_versions` writes, as a dictionary; packages are read from their metadata, not imported."""
    return {
        "python": sys.version.replace("\n", " "),
        **_packages(),
        "system": platform.platform(),
        **_backend(),
        "gpu": _gpu(),
    }


def show_versions() -> None:
    """Writes versions, backend, processor features and GPU to the standard output."""
    rows = versions()
    width = max(map(len, rows))
    sys.stdout.write("".join(f"{name:<{width}}  {value}\n" for name, value in rows.items()))


def _packages() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            if name in NEEDED:
                found[name] = "not installed"
    if "keras" in found:
        found["keras backend"] = os.environ.get("KERAS_BACKEND", "as in keras.json (TensorFlow unless changed)")
    return found


def _backend() -> dict[str, str]:
    absent = registry.why_absent()
    try:
        used = registry.get_backend().name
    except BackendUnavailable as error:
        used = f"none: {error}"
    rows = {"backend": f"{used} (asked for: {registry.chosen()})"}
    rows |= {f"backend {name}": absent.get(name, "available") for name in registry.BACKENDS}
    native = (_native() if "cpp" not in absent else {}) | (_cuda() if "cuda" not in absent else {})
    return rows | native | {"processor": _processor()}


def _native() -> dict[str, str]:
    from krigetuner.backend import _cpp

    features = _cpp.cpu_features()
    return {
        "SIMD level": _cpp.simd_level() + _cap(),
        "CPU features": features if isinstance(features, str) else " ".join(features),
        **{f"build {name}": str(value) for name, value in _cpp.build_info().items()},
    }


def _cuda() -> dict[str, str]:
    """Of the GPU that the CUDA backend computes on: where its memory and its libraries come from."""
    from krigetuner.backend import _cuda as native

    info: dict[str, object] = getattr(registry.get_backend("cuda"), "info", {})
    shown = {f"cuda {name}": str(info[name]) for name in ("index", "name", "compute_capability", "pool", "libraries")}
    return shown | {f"cuda build {name}": value for name, value in native.build_info().items()}


def _cap() -> str:
    cap = os.environ.get("KRIGETUNER_SIMD")
    return f" (KRIGETUNER_SIMD={cap})" if cap else ""


def _processor() -> str:
    """The name of the processor, as far as the system tells, and the number of its cores."""
    name = platform.processor() or platform.machine()
    listing = Path("/proc/cpuinfo")
    if listing.is_file():
        names = [
            line.partition(":")[2].strip() for line in listing.read_text().splitlines() if line.startswith("model name")
        ]
        name = names[0] if names else name
    return f"{name}, {os.cpu_count()} cores"


def _gpu() -> str:
    """What nvidia-smi lists."""
    try:
        listed = subprocess.run(GPU_QUERY, capture_output=True, text=True, timeout=10, check=True).stdout
    except FileNotFoundError:
        return "none found (no nvidia-smi)"
    except (OSError, subprocess.SubprocessError) as error:
        return f"none found (nvidia-smi: {error})"
    return "; ".join(listed.split("\n")).strip("; ") or "none"
