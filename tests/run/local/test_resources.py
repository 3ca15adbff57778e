"""How a machine is divided among workers: GPUs, cores, threads."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from tests.run.local import process_jobs as jobs

from krigetuner.run.local import resources
from krigetuner.run.local.processes import ProcessExecutor
from krigetuner.run.local.resources import Machine, Share, present_machine, shares, visible_gpus
from krigetuner.run.messages import Context, Outcome

EIGHT = Machine((), tuple(range(8)), 8)
FOUR_GPUS = Machine(("0", "1", "2", "3"), tuple(range(16)), 16)


@pytest.fixture(autouse=True)
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*resources.THREADS, "TF_FORCE_GPU_ALLOW_GROWTH", "XLA_PYTHON_CLIENT_MEM_FRACTION"):
        monkeypatch.delenv(name, raising=False)


def gpus(found: tuple[Share, ...]) -> list[str | None]:
    return [share.environment.get("CUDA_VISIBLE_DEVICES") for share in found]


def threads(found: tuple[Share, ...]) -> list[str]:
    return [share.environment["OMP_NUM_THREADS"] for share in found]


@pytest.mark.parametrize(
    ("workers", "each", "expected"),
    [
        (4, None, ["0", "1", "2", "3"]),
        (2, None, ["0", "1"]),
        (6, None, ["0", "1", "2", "3", "0", "1"]),
        ("auto", None, ["0", "1", "2", "3"]),
        (2, 2, ["0,1", "2,3"]),
        ("auto", 2, ["0,1", "2,3"]),
        ("auto", 3, ["0,1,2"]),
        (8, 0.5, ["0", "1", "2", "3"] * 2),
        ("auto", 0.5, ["0", "1", "2", "3"] * 2),
        ("auto", 1 / 3, ["0", "1", "2", "3"] * 3),
        (3, 1.0, ["0", "1", "2"]),
        (2, 0, ["", ""]),
    ],
)
def test_gpus_are_divided(workers: Any, each: float | None, expected: list[str]) -> None:
    assert gpus(shares(workers, each, None, FOUR_GPUS)) == expected


def test_trials_that_share_a_gpu_are_told_to_take_a_part_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    (alone,) = shares(1, 1, None, FOUR_GPUS)
    assert "TF_FORCE_GPU_ALLOW_GROWTH" not in alone.environment
    shared = shares(8, None, None, FOUR_GPUS)[0].environment
    assert shared["TF_FORCE_GPU_ALLOW_GROWTH"] == "true"
    assert shared["XLA_PYTHON_CLIENT_MEM_FRACTION"] == "0.450"
    monkeypatch.setenv("XLA_PYTHON_CLIENT_MEM_FRACTION", "0.2")
    assert "XLA_PYTHON_CLIENT_MEM_FRACTION" not in shares(8, None, None, FOUR_GPUS)[0].environment


def test_without_gpus_the_variable_is_left_alone_unless_none_were_asked() -> None:
    assert gpus(shares(2, None, None, EIGHT)) == [None, None]
    assert gpus(shares(2, 0, None, EIGHT)) == ["", ""]


@pytest.mark.parametrize(
    ("workers", "each", "machine", "text"),
    [
        (5, 1, FOUR_GPUS, "workers=5 with gpus_per_trial=1 where this process can use 4 (0, 1, 2, 3)"),
        (3, 2, FOUR_GPUS, "workers=3 with gpus_per_trial=2"),
        (9, 0.5, FOUR_GPUS, "workers=9 with gpus_per_trial=0.5"),
        (1, 1, EIGHT, "can use none"),
        ("auto", 1, EIGHT, "can use none"),
        ("auto", 8, FOUR_GPUS, "got gpus_per_trial=8"),
    ],
)
def test_more_gpus_than_there_are(workers: Any, each: float, machine: Machine, text: str) -> None:
    with pytest.raises(ValueError, match="gpus_per_trial: expected no more GPUs than there are, got") as caught:
        shares(workers, each, None, machine)
    assert text in str(caught.value)


def test_too_many_gpus_are_refused_before_anything_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1,2,3")
    executor = ProcessExecutor(5, gpus_per_trial=1)
    with pytest.raises(ValueError, match="can use 4"):
        _ = executor.capacity
    assert ProcessExecutor("auto").capacity == 4
    executor.close()


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ({"workers": 0}, "workers"),
        ({"workers": True}, "workers"),
        ({"workers": "all"}, "workers"),
        ({"workers": 2.0}, "workers"),
        ({"gpus_per_trial": -1}, "gpus_per_trial"),
        ({"gpus_per_trial": 1.5}, "gpus_per_trial"),
        ({"gpus_per_trial": float("nan")}, "gpus_per_trial"),
        ({"gpus_per_trial": "1"}, "gpus_per_trial"),
        ({"cpus_per_trial": 0}, "cpus_per_trial"),
        ({"cpus_per_trial": 1.5}, "cpus_per_trial"),
    ],
)
def test_arguments_out_of_range(arguments: dict[str, Any], name: str) -> None:
    with pytest.raises(ValueError, match=rf"^{name}: expected .*, got "):
        ProcessExecutor(**arguments)


@pytest.mark.parametrize(
    ("workers", "each", "cores", "expected"),
    [
        (2, None, [(0, 1, 2, 3), (4, 5, 6, 7)], ["4", "4"]),
        (3, None, [(0, 1), (2, 3, 4), (5, 6, 7)], ["2", "3", "3"]),
        (2, 3, [(0, 1, 2), (3, 4, 5)], ["3", "3"]),
        ("auto", 4, [(0, 1, 2, 3), (4, 5, 6, 7)], ["4", "4"]),
        (20, None, [()] * 20, ["1"] * 20),
        (5, 2, [()] * 5, ["2"] * 5),
    ],
)
def test_cores_are_divided(workers: Any, each: int | None, cores: Any, expected: list[str]) -> None:
    found = shares(workers, None, each, EIGHT)
    assert [share.cores for share in found] == cores
    assert threads(found) == expected


def test_a_quota_below_the_cores_sets_threads_and_holds_nobody_to_cores() -> None:
    found = shares("auto", None, 2, Machine((), tuple(range(64)), 4))
    assert [share.cores for share in found] == [(), ()]
    assert threads(found) == ["2", "2"]


def test_what_the_user_has_set_stands_unless_he_says_a_number_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    assert "OMP_NUM_THREADS" not in shares(2, None, None, EIGHT)[0].environment
    assert shares(2, None, 3, EIGHT)[0].environment["OMP_NUM_THREADS"] == "3"


@pytest.mark.parametrize(
    ("given", "expected"),
    [("0,1", ("0", "1")), ("", ()), ("-1", ()), ("2, 3,-1,4", ("2", "3")), ("GPU-a,MIG-b,GPU-a", ("GPU-a", "MIG-b"))],
)
def test_the_environment_says_which_gpus_there_are(
    monkeypatch: pytest.MonkeyPatch, given: str, expected: tuple[str, ...]
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", given)
    assert visible_gpus() == expected


LISTED = """GPU 0: NVIDIA A100-SXM4-40GB (UUID: GPU-1)
  MIG 1g.5gb      Device  0: (UUID: MIG-2)
  MIG 1g.5gb      Device  1: (UUID: MIG-3)
GPU 1: NVIDIA A100-SXM4-40GB (UUID: GPU-4)
"""


@pytest.mark.parametrize(
    ("script", "expected"),
    [(f"cat <<'EOF'\n{LISTED}EOF", ("MIG-2", "MIG-3", "1")), ("echo no driver; exit 9", ()), ("echo", ())],
)
def test_the_driver_says_which_gpus_there_are(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, script: str, expected: tuple[str, ...]
) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    assert visible_gpus() == expected


def seen(context: Context) -> Outcome:
    return Outcome(
        (),
        {
            "environment": {n: os.environ.get(n) for n in ("CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS")},
            "cores": sorted(os.sched_getaffinity(0)),
        },
    )


def test_workers_find_what_is_theirs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5")
    executor = ProcessExecutor(2, gpus_per_trial=1, cpus_per_trial=1)
    found = [r.outcome.discovered for r in jobs.results(executor, [seen] * 2)]
    assert [f["environment"]["CUDA_VISIBLE_DEVICES"] for f in found] == ["3", "5"]
    assert {f["environment"]["OMP_NUM_THREADS"] for f in found} == {"1"}
    cores = present_machine().cores
    if len(cores) >= 2 and present_machine().limit >= len(cores):
        assert [f["cores"] for f in found] == [[cores[0]], [cores[1]]]
    executor.close()
