"""The core beside its peers: kernel, Cholesky, solve, likelihood, posterior and EI, alternately in one run on one core.

    python bench/core/run.py [--sizes 50 100 300 1000] [--seconds 0.5] [--json build/bench/core.json]
    python bench/core/run.py --cuda     the verbs on a GPU beside the C++ core on all cores (gpu.py)

Every contender of a row is called in turn, round after round, so that a disturbance of the machine meets all of them;
the table shows the fastest and the median call in processor time of the process, and the share of the measured
multiply-add peak of one core that our C++ core reaches.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

Call = Callable[[], Any]

ROOT = Path(__file__).resolve().parents[2]
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "KRIGETUNER_THREADS")
SIZES = (50, 100, 200, 300, 500, 1000, 2000, 3000)
PARTS = {
    "kernel": "kernel matrix, symmetric",
    "cholesky": "Cholesky",
    "solve": "triangular solve, 256 right sides",
    "likelihood": "log likelihood and gradient",
    "posterior": "posterior of 10,000 points",
    "ei": "log EI and gradient, 16 points",
}
SHORTEST = 200e-6
"""A call shorter than this many seconds is timed in a loop, as one."""
LONGEST = 20.0
"""A contender whose first call took longer, in seconds, is called no more."""


def measure(calls: dict[str, Call], seconds: float) -> dict[str, dict[str, float]]:
    """Fastest and median time of each call, in seconds; all take turns until each had its share of time."""
    loops, taken = {}, {name: [] for name in calls}
    for name, call in calls.items():
        call()
        once = _time(call, 1)
        loops[name] = max(1, round(SHORTEST / max(once, 1e-9)))
        if once > LONGEST:
            taken[name].append(once)
    active = [name for name in calls if not taken[name]]
    end = time.perf_counter() + seconds * max(1, len(active))
    while active and (time.perf_counter() < end or min(len(taken[n]) for n in active) < 3):
        for name in active:
            taken[name].append(_time(calls[name], loops[name]))
    return {n: {"min": min(t), "median": statistics.median(t), "rounds": len(t)} for n, t in taken.items()}


def _time(call: Call, loops: int) -> float:
    start = time.process_time()
    for _ in range(loops):
        call()
    return (time.process_time() - start) / loops


def peak() -> float | None:
    """Multiply-add peak of one core in flop/s, as krige_bench measures it; None where that is not built."""
    # "release" before "dev" and "asan"
    built = [shutil.which("krige_bench"), *sorted(map(str, ROOT.glob("build/*/cpp/krige_bench")), reverse=True)]
    for program in filter(None, built):
        done = subprocess.run([program, "--json", "--peak"], capture_output=True, text=True, check=False)
        if done.returncode == 0 and done.stdout.startswith("{"):
            return float(json.loads(done.stdout)["peak_gflops"]) * 1e9
    return None


def pin() -> None:
    """Keeps this process on one thread and one core, where the system allows it; before numpy is imported."""
    os.environ.update(dict.fromkeys(THREADS, "1"))
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def machine() -> dict[str, str]:
    """What the figures depend on."""
    from krigetuner.versions import versions

    wanted = ("krigetuner", "numpy", "scipy", "scikit-learn", "torch", "processor", "SIMD level", "build compiler")
    found = versions()
    return {"python": platform.python_version(), **{k: found[k] for k in wanted if k in found}}


def table(part: str, rows: dict[int, dict[str, Any]], top: float | None) -> str:
    """One part as a markdown table: milliseconds, fastest / median, and how many times the C++ core's."""
    names = list(dict.fromkeys(name for row in rows.values() for name in row))
    ours = "krigetuner cpp" if "krigetuner cpp" in names else names[0]
    lines = [f"\n### {PARTS[part]}\n", "| n | " + " | ".join(names) + " | share of peak |"]
    lines.append("|--:|" + "--:|" * (len(names) + 1))
    for n, row in rows.items():
        cells = []
        for name in names:
            times = f"{_milliseconds(row[name]['min'])} / {_milliseconds(row[name]['median'])}" if name in row else "-"
            ratio = f" ({row[name]['min'] / row[ours]['min']:.1f}x)" if name in row and name != ours else ""
            cells.append(times + ratio)
        share = f"{100 * row[ours]['flops'] / row[ours]['min'] / top:.0f} %" if top else "not measured"
        lines.append(f"| {n} | " + " | ".join(cells) + f" | {share} |")
    return "\n".join(lines)


def _milliseconds(seconds: float) -> str:
    return f"{1e3 * seconds:.3g}"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--cuda", action="store_true", help="on a GPU, beside all cores of the processor")
    parser.add_argument("--sizes", type=int, nargs="+", help="numbers of observations")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--seconds", type=float, default=0.5, help="time for each contender of each row")
    parser.add_argument("--json", type=Path, help="where the figures go; default: build/bench/core.json or cuda.json")
    asked = parser.parse_args()
    asked.json = asked.json or ROOT / "build" / "bench" / ("cuda.json" if asked.cuda else "core.json")
    # scikit-learn and GPyTorch warn about our fixed hyperparameters
    warnings.simplefilter("ignore")
    sys.path.insert(0, str(ROOT))
    if asked.cuda:
        from bench.core import gpu

        gpu.main(asked.sizes, asked.seconds, asked.json)
        return
    pin()
    from bench.core.contenders import Inputs, contenders, flops

    top, host = peak(), machine()
    print("\n".join(f"{k}: {v}" for k, v in host.items()))
    print(f"multiply-add peak: {f'{top / 1e9:.1f} GFLOP/s' if top else 'not measured (krige_bench is not built)'}")
    print("milliseconds, fastest / median; in brackets: times the C++ core's fastest")
    found: dict[str, dict[int, Any]] = {part: {} for part in asked.parts}
    for n in asked.sizes or SIZES:
        calls = contenders(Inputs(n))
        for part in asked.parts:
            found[part][n] = measure(calls[part], asked.seconds)
            for row in found[part][n].values():
                row["flops"] = flops(part, n)
            print(f"n = {n}, {part}", file=sys.stderr, flush=True)
    for part in asked.parts:
        print(table(part, found[part], top))
    asked.json.parent.mkdir(parents=True, exist_ok=True)
    asked.json.write_text(json.dumps({"machine": host, "peak_flops": top, "seconds": found}, indent=1) + "\n")


if __name__ == "__main__":
    main()
