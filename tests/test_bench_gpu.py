"""The benchmark of the GPU measures what it says; without a GPU, with two other backends."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from bench.core import gpu

from krigetuner.backend.cpp_backend import CppBackend
from krigetuner.backend.numpy_backend import NumpyBackend


def test_the_crossover_is_where_the_gpu_wins_for_good() -> None:
    assert gpu.crossover({300: {"cuda": 1, "cpp": 2}, 1000: {"cuda": 3, "cpp": 2}, 2000: {"cuda": 1, "cpp": 9}}) == 2000
    assert gpu.crossover({300: {"cuda": 1, "cpp": 2}, 1000: {"cuda": 1, "cpp": 2}, 5000: {"cuda": 1}}) == 300
    assert gpu.crossover({300: {"cuda": 3, "cpp": 2}}) is None
    assert gpu.crossover({}) is None


def test_every_verb_is_measured(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(gpu, "DIMENSIONS", (2,))
    monkeypatch.setattr(gpu, "RESTARTS", 2)
    monkeypatch.setattr(gpu, "botorch", lambda given: {})
    given = gpu.Given
    monkeypatch.setattr(gpu, "Given", lambda n, d: given(n, d, candidates=40))
    gpu.run({"cuda": CppBackend(), "cpp": NumpyBackend()}, [20], 0.0, tmp_path / "cuda.json")
    printed = capsys.readouterr().out
    for title in gpu.VERBS.values():
        assert f"### {title}, d = 2" in printed
    assert printed.count("| n | cuda | cpp |") == len(gpu.VERBS)
    assert "from which the GPU is faster" in printed
    found = json.loads((tmp_path / "cuda.json").read_text())
    assert all(set(times["20"]) == {"cuda", "cpp"} for times in found.values())
