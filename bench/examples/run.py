"""Runs the two examples over several seeds and prints mean and standard error of each column.

python bench/examples/run.py [--seeds 5] [--trials 20] [--jobs 2] [--examples digits,fraud_recall]
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


def run(example: str, seed: int, trials: int, directory: Path) -> list[dict[str, Any]]:
    """The rows of one example's table; its output goes to a file beside them."""
    rows = directory / f"{example}-{seed}.json"
    command = [sys.executable, str(ROOT / "examples" / f"{example}.py"), "--seed", str(seed), "--trials", str(trials)]
    command += ["--directory", str(directory / f"{example}-{seed}"), "--json", str(rows)]
    with (directory / f"{example}-{seed}.log").open("w") as log:
        subprocess.run(command, check=True, stdout=log, stderr=log, env={**os.environ, "TF_NUM_INTRAOP_THREADS": "1"})
    return json.loads(rows.read_text())


def cell(values: list[Any]) -> str:
    """Mean and standard error; counts that were not always reached say how often they were."""
    numbers = [v for v in values if not isinstance(v, str)]
    if not numbers:
        return f"reached in 0 of {len(values)}"
    text = f"{statistics.mean(numbers):.4g}"
    if len(numbers) > 1:
        text += f" ± {statistics.stdev(numbers) / math.sqrt(len(numbers)):.2g}"
    return text if len(numbers) == len(values) else f"{text} (reached in {len(numbers)} of {len(values)})"


def main() -> None:
    """Runs and prints one markdown table for each example."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--examples", default="digits,fraud_recall")
    options = parser.parse_args()
    directory = Path(tempfile.mkdtemp(prefix="krige-examples-"))
    for example in options.examples.split(","):
        with ThreadPoolExecutor(options.jobs) as pool:
            tables = list(pool.map(lambda s, e=example: run(e, s, options.trials, directory), range(options.seeds)))
        columns = list(tables[0][0])
        print(f"\n{example}, {options.trials} trainings, {options.seeds} seeds\n")
        print("| " + " | ".join(columns) + " |\n|" + " --- |" * len(columns))
        for rows in zip(*tables, strict=True):
            print("| " + " | ".join([rows[0]["search"], *(cell([r[c] for r in rows]) for c in columns[1:])]) + " |")
    print(f"\nlogs: {directory}")


if __name__ == "__main__":
    main()
