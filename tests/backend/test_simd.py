"""Every SIMD level gives the same search: AVX2 and AVX-512 the same bits, the baseline the same to rounding."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tests.contracts.backend import load

ROOT = Path(__file__).resolve().parents[2]
LEVELS = ("baseline", "avx2", "avx512")


@pytest.fixture(scope="module")
def dumps(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, np.ndarray]]:
    """Results of all verbs by the level that computed them."""
    load("cpp")
    found = {}
    for level in LEVELS:
        path = tmp_path_factory.mktemp("simd") / f"{level}.npz"
        environment = {**os.environ, "KRIGETUNER_SIMD": level, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
        subprocess.run(
            [sys.executable, "-m", "tests.backend.simd_dump", str(path)], env=environment, cwd=ROOT, check=True
        )
        with np.load(path) as data:
            arrays = {k: data[k] for k in data.files}
        found[str(arrays.pop("level"))] = arrays
    return found


def test_the_variable_caps_the_level(dumps: dict[str, dict[str, np.ndarray]]) -> None:
    assert "baseline" in dumps
    assert set(dumps) <= set(LEVELS)


def test_avx2_and_avx512_give_the_same_bits(dumps: dict[str, dict[str, np.ndarray]]) -> None:
    if not {"avx2", "avx512"} <= set(dumps):
        pytest.skip("this processor does not have both AVX2 and AVX-512")
    assert len(dumps["avx2"]) > 300
    for key, expected in dumps["avx2"].items():
        assert dumps["avx512"][key].tobytes() == expected.tobytes(), key


def test_baseline_is_the_same_to_rounding(dumps: dict[str, dict[str, np.ndarray]]) -> None:
    for level in set(dumps) - {"baseline"}:
        for key, expected in dumps[level].items():
            found = dumps["baseline"][key]
            # log likelihoods and far acquisitions are sums of large terms: measured against the largest entry
            size = max(1.0, float(np.abs(expected).max(initial=0)))
            assert np.abs(found - expected).max(initial=0) <= 1e-11 * size, key
