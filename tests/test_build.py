"""How the package is built, where it is not as `make test` builds it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_the_tests_on_a_gpu_have_the_packages_of_the_python_that_is_given(tmp_path: Path) -> None:
    # as a rule that of a virtual environment, as here
    folder = tmp_path / "gpu"
    env = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL", "PYTHONPATH")}
    make = ["make", f"{folder}/.created", f"GPU={folder}", f"PYTHON={sys.executable}"]
    subprocess.run(make, cwd=ROOT, env=env, check=True, capture_output=True)
    found = "import hypothesis, numpy, pytest; print(numpy.__file__)"
    done = subprocess.run(
        [folder / "bin" / "python", "-c", found], env=env, cwd=tmp_path, check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    import numpy

    assert done.stdout.strip() == numpy.__file__


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_a_sanitizer_expects_a_gpu_and_the_toolkit_is_found_behind_the_path(tmp_path: Path) -> None:
    folder, tools, told = tmp_path / "gpu", tmp_path / "tools", tmp_path / "told"
    for path in (folder, tools):
        path.mkdir()
    for name in (".created", ".installed"):
        (folder / name).touch()
    sanitizer = tools / "compute-sanitizer"
    sanitizer.write_text(f'#!/bin/sh\necho "$KRIGETUNER_EXPECT_CUDA $PATH" >>{told}\n')
    sanitizer.chmod(0o755)
    path = f"{tools}:{os.environ['PATH']}"
    env = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL")}
    make = ["make", "sanitize-gpu", f"GPU={folder}"]
    subprocess.run(make, cwd=ROOT, env={**env, "PATH": path}, check=True, capture_output=True)
    assert told.read_text() == f"1 {path}:/usr/local/cuda/bin\n" * 3


@pytest.mark.parametrize(
    ("asked", "python_only"),
    [
        ({}, True),
        ({"KRIGE_CUDA": "OFF"}, True),
        ({"KRIGE_CUDA": "ON"}, False),
        ({"KRIGETUNER_REQUIRE_NATIVE": "1"}, False),
    ],
)
def test_a_build_that_fails_leaves_python_alone_only_where_nothing_native_was_asked_for(
    asked: dict[str, str], python_only: bool
) -> None:
    reader = pytest.importorskip("scikit_build_core.settings.skbuild_read_settings").SettingsReader
    for failed in (False, True):
        settings = reader.from_file(ROOT / "pyproject.toml", env=asked, retry=failed).settings
        assert settings.wheel.cmake == (not (failed and python_only))
