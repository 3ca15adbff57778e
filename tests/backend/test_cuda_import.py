"""The module `_cuda` on a machine without a GPU: it is imported, and says what is missing.

Runs where nvcc has built it: KRIGETUNER_CUDA_BUILD names the folder.
"""

from __future__ import annotations

import importlib.machinery
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

FOLDER = os.environ.get("KRIGETUNER_CUDA_BUILD", "")
IMPORT = """
import importlib.util, json, sys
import numpy as np
spec = importlib.util.spec_from_file_location("krigetuner.backend._cuda", sys.argv[1])
cuda = importlib.util.module_from_spec(spec)
spec.loader.exec_module(cuda)
sys.modules[spec.name] = cuda
from krigetuner.errors import BackendUnavailable
def text(call):
    try:
        return str(call())
    except BackendUnavailable as error:
        return str(error)
"""


@pytest.fixture(scope="module")
def module() -> Path:
    suffix = importlib.machinery.EXTENSION_SUFFIXES[0]
    path = Path(FOLDER) / f"_cuda{suffix}"
    if not FOLDER:
        pytest.skip("_cuda is not built here: KRIGETUNER_CUDA_BUILD is not set")
    return path.resolve(strict=True)


def run(module: Path, code: str, **environment: str) -> Any:
    """What a fresh interpreter prints as JSON after importing the module."""
    done = subprocess.run(
        [sys.executable, "-c", IMPORT + code, str(module)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture
def no_gpu(module: Path) -> None:
    if run(module, "print(cuda.device_count())"):
        pytest.skip("a GPU is here")


def test_what_it_needs_is_everywhere(module: Path) -> None:
    listed = subprocess.run(["ldd", str(module)], capture_output=True, text=True, check=True).stdout
    assert not any(name in listed for name in ("libcuda", "libcublas", "libcusolver", "not found"))


def test_it_says_how_it_was_built(module: Path) -> None:
    info = run(module, "print(json.dumps(cuda.build_info()))")
    assert int(info["toolkit"].split(".")[0]) in (12, 13)
    assert "90" in info["architectures"]


@pytest.mark.usefixtures("no_gpu")
def test_it_says_why_it_cannot_compute(module: Path) -> None:
    reasons = run(
        module,
        """
print(json.dumps([cuda.why_unavailable(), text(lambda: cuda.device_info(0)), cuda.device_count()]))
""",
    )
    assert reasons[0].startswith("GPU: expected ")
    assert reasons[1] == reasons[0]
    assert reasons[2] == 0


@pytest.mark.usefixtures("no_gpu")
def test_named_it_is_an_error_and_auto_does_without(module: Path) -> None:
    code = """
import warnings
warnings.simplefilter("error")
from krigetuner.backend import cuda_backend, registry
cuda_backend.is_built = lambda: True
from krigetuner.backend.protocol import KernelHyper
auto = registry.get_backend("auto")
n = 40
x = np.linspace(0, 1, n)[:, None].copy()
fitted = auto.fit(x, np.zeros(n), np.ones(n), KernelHyper(np.ones(1), 1.0, np.zeros(1, bool)))
print(json.dumps([text(lambda: registry.get_backend("cuda")), auto.name, fitted.held[0].name]))
"""
    reason, name, owner = run(module, code, KRIGETUNER_CUDA_FROM="10", KRIGETUNER_CUDA_POOL="own")
    assert reason.startswith("GPU: expected ")
    assert (name, owner) == ("cpp+cuda", "cpp")


def test_missing_libraries_are_named(module: Path) -> None:
    code = """
try:
    found = cuda.load_libraries(json.loads(sys.argv[2]) if len(sys.argv) > 2 else [])
    print(json.dumps(list(found)))
except BackendUnavailable as error:
    print(json.dumps(str(error)))
"""
    found = run(module, code)
    if isinstance(found, list):
        pytest.skip(f"they are here: {found}")
    assert found.startswith("cuBLAS: expected libcublas.so.1")
    assert "pip install nvidia-cublas" in found


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")
def test_libraries_of_another_cuda_are_not_taken(module: Path, tmp_path: Path) -> None:
    major = int(run(module, "print(json.dumps(cuda.build_info()))")["toolkit"].split(".")[0])
    other = 12 if major == 13 else 13
    code = "print(json.dumps(text(lambda: cuda.load_libraries([]))))"
    if run(module, code).startswith("("):
        pytest.skip("the right ones are here")
    build = ["cc", "-shared", "-fPIC", "-x", "c", "/dev/null", "-o"]
    subprocess.run([*build, str(tmp_path / f"libcublas.so.{other}")], check=True)
    text = run(module, code, LD_LIBRARY_PATH=str(tmp_path))
    assert f"got libcublas.so.{other}, which is of another CUDA; install it: pip install nvidia-cublas" in text
    subprocess.run([*build, str(tmp_path / f"libcublas.so.{major}")], check=True)
    text = run(module, code.replace("[]", f"[{str(tmp_path)!r}]"))
    assert "cuSOLVER: expected libcusolver.so." in text
    subprocess.run([*build, str(tmp_path / f"libcusolver.so.{major - 1}")], check=True)
    text = run(module, code.replace("[]", f"[{str(tmp_path)!r}]"))
    assert "cuBLAS: expected the function cublasCreate_v2, got none" in text
    assert "pip install --upgrade nvidia-cublas" in text


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")
def test_what_the_libraries_need_is_taken_from_beside_them(module: Path, tmp_path: Path) -> None:
    major = int(run(module, "print(json.dumps(cuda.build_info()))")["toolkit"].split(".")[0])
    if run(module, "print(json.dumps(text(lambda: cuda.load_libraries([]))))").startswith("("):
        pytest.skip("the right ones are here")
    companions = (f"libnvJitLink.so.{major}", "libcusparse.so.12")
    both = (f"libcublas.so.{major}", f"libcusolver.so.{major - 1}")
    for folder, names in (("first", companions), ("second", (*companions, *both))):
        (tmp_path / folder).mkdir()
        for name in names:
            build = ["cc", "-shared", "-fPIC", "-x", "c", "/dev/null", "-o", str(tmp_path / folder / name)]
            subprocess.run(build, check=True)
    code = f"""
text(lambda: cuda.load_libraries([{str(tmp_path / "first")!r}, {str(tmp_path / "second")!r}]))
paths = {{line.split()[-1] for line in open("/proc/self/maps")}}
print(json.dumps(sorted(path for path in paths if path.startswith({str(tmp_path)!r}))))
"""
    assert run(module, code) == sorted(str(tmp_path / "second" / name) for name in (*companions, *both))
