"""Which backend is taken, and what is said when one cannot be."""

from __future__ import annotations

import importlib.machinery
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from krigetuner import config, versions
from krigetuner.backend import cpp_backend, registry
from krigetuner.errors import BackendUnavailable

FINDERS = """
import importlib.machinery, importlib.util, sys
class Finders:
    # all finders of modules, but for the extensions
    def __init__(self, behind):
        self.behind = behind
    def find_spec(self, name, path=None, target=None):
        if name == "krigetuner.backend._cuda":
            return None
        if name == "krigetuner.backend._cpp":
            return {extension}
        return next((s for s in (f.find_spec(name, path, target) for f in self.behind) if s), None)
sys.meta_path = [Finders(sys.meta_path)]
"""
ABSENT = FINDERS.format(extension="None")
BROKEN = FINDERS.format(extension="importlib.util.spec_from_file_location(name, sys.argv[1])")


@pytest.fixture(autouse=True)
def untouched(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv(registry.VARIABLE, raising=False)
    config.set_backend(None)
    yield
    config.set_backend(None)


def run(code: str, *arguments: str, **environment: str) -> Any:
    """What a fresh interpreter prints as JSON."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("KRIGETUNER")}
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env={**kept, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_name_in_code_comes_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(registry.VARIABLE, "cuda")
    assert registry.chosen() == "cuda"
    config.set_backend("numpy")
    assert config.get_backend() == "numpy"
    assert registry.get_backend() is registry.get_backend("numpy")
    config.set_backend(None)
    assert registry.chosen() == "cuda"


@pytest.mark.parametrize("name", ["c++", "", "gpu"])
def test_an_unknown_name_is_refused(name: str) -> None:
    with pytest.raises(
        ValueError, match=rf"^backend: expected one of auto, cpp, cuda, numpy, got '{name}'".replace("+", r"\+")
    ):
        config.set_backend(name)


def test_an_unknown_name_in_the_environment_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(registry.VARIABLE, "fortran")
    with pytest.raises(ValueError, match=r"^KRIGETUNER_BACKEND: expected one of .*, got 'fortran'"):
        config.get_backend()


def test_an_empty_variable_is_no_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(registry.VARIABLE, "")
    assert registry.chosen() == "auto"


def test_a_named_backend_that_is_absent_fails_at_first_use() -> None:
    message = run(
        ABSENT
        + """
import json
from krigetuner import config
from krigetuner.errors import BackendUnavailable
config.set_backend("cuda")
try:
    config.get_backend()
except BackendUnavailable as error:
    print(json.dumps(str(error)))
"""
    )
    assert re.match(r"backend cuda: expected the extension module krigetuner.backend._cuda, got none", message)
    assert "KRIGE_CUDA=ON" in message
    assert "pip install 'krigetuner[cuda]'" in message


def test_numpy_is_always_available() -> None:
    assert "numpy" in config.backends_available()
    assert set(config.backends_available()) | set(registry.why_absent()) == set(registry.BACKENDS)


def test_without_the_extension_numpy_takes_over_and_says_so_once() -> None:
    found = run(
        ABSENT
        + """
import json, warnings
from krigetuner.backend import cpp_backend, registry
from krigetuner.errors import KrigeTunerWarning
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    names = [registry.get_backend().name for _ in range(3)]
print(json.dumps([names, [(w.category.__name__, str(w.message)) for w in caught]]))
"""
    )
    names, caught = found
    assert names == ["numpy"] * 3
    assert len(caught) == 1
    assert caught[0][0] == "KrigeTunerWarning"
    assert "pip install" in caught[0][1]
    assert "KRIGETUNER_BACKEND=numpy" in caught[0][1]


def test_an_extension_that_does_not_load_says_why(tmp_path: Path) -> None:
    suffix = importlib.machinery.EXTENSION_SUFFIXES[0]
    broken = tmp_path / f"_cpp{suffix}"
    broken.write_bytes(b"not a library")
    message = run(
        BROKEN
        + """
import json
from krigetuner.backend import cpp_backend, registry
print(json.dumps(registry.why_absent()["cpp"]))
""",
        str(broken),
    )
    assert broken.name in message
    assert "pip install" in message


def test_without_the_extension_cpp_by_name_is_an_error_with_a_remedy() -> None:
    message = run(
        ABSENT
        + """
import json
from krigetuner.backend import cpp_backend, registry
from krigetuner.errors import BackendUnavailable
try:
    registry.get_backend()
except BackendUnavailable as error:
    print(json.dumps(str(error)))
""",
        KRIGETUNER_BACKEND="cpp",
    )
    assert re.search(r"C\+\+\S* compiler", message)
    assert "pip install" in message


def test_choosing_numpy_is_no_reason_to_warn() -> None:
    code = """
import json, warnings
warnings.simplefilter("error")
from krigetuner import config
print(json.dumps(config.get_backend()))
"""
    assert run(code, KRIGETUNER_BACKEND="numpy") == "numpy"


def test_versions_tell_what_a_bug_report_needs(capsys: pytest.CaptureFixture[str]) -> None:
    config.set_backend("numpy")
    versions.show_versions()
    text = capsys.readouterr().out
    rows = {line.partition("  ")[0]: line.partition("  ")[2].strip() for line in text.splitlines()}
    import numpy

    assert rows["numpy"] == numpy.__version__
    assert rows["backend"] == "numpy (asked for: numpy)"
    assert rows["backend cuda"] == "available" or "expected" in rows["backend cuda"]
    assert rows["gpu"]
    if "cpp" in config.backends_available():
        assert rows["SIMD level"].split()[0] in ("baseline", "avx2", "avx512")
    assert str(Path.home()) not in text


def test_versions_import_no_framework() -> None:
    code = """
import json, sys
from krigetuner import versions
versions.versions()
heavy = ("tensorflow", "keras", "torch", "jax", "sklearn", "pandas", "sqlalchemy")
print(json.dumps([m for m in heavy if m in sys.modules]))
"""
    assert run(code, KRIGETUNER_BACKEND="numpy") == []


def test_an_unknown_simd_level_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KRIGETUNER_SIMD", "sse9")
    with pytest.raises(ValueError, match="KRIGETUNER_SIMD: expected one of baseline, avx2, avx512, got 'sse9'"):
        cpp_backend.load_extension()


@pytest.mark.parametrize("count", ["0", "-1", "many", "2.5", "4 ", "1025"])
def test_a_number_of_threads_that_is_none_is_an_error(monkeypatch: pytest.MonkeyPatch, count: str) -> None:
    monkeypatch.setenv("KRIGETUNER_THREADS", count)
    with pytest.raises(ValueError, match=f"KRIGETUNER_THREADS: expected a whole number from 1 to 1024, got '{count}'"):
        cpp_backend.load_extension()


def test_an_import_hook_that_refuses_the_extension_makes_it_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    class Refusal:
        def find_spec(self, name: str, path: object = None, target: object = None) -> None:
            if name == cpp_backend.MODULE:
                raise ImportError("refused here")

    monkeypatch.delitem(sys.modules, cpp_backend.MODULE, raising=False)
    monkeypatch.setattr(sys, "meta_path", [Refusal(), *sys.meta_path])
    with pytest.raises(BackendUnavailable, match="refused here"):
        cpp_backend.load_extension()
