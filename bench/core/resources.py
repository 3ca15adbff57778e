"""What the CUDA kernels take of a multiprocessor, from ptxas: registers, shared memory, spills.

Needs nvcc, no GPU: `make cuda-report`. Exits with 1 where a kernel spills registers or keeps data in local memory.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
ARCHITECTURES = ("sm_80", "sm_90")


class Kernel(NamedTuple):
    """One line of the table."""

    architecture: str
    name: str
    registers: int
    shared: int
    spilled: int


def compiled(source: Path, architecture: str) -> Iterator[Kernel]:
    """The kernels of a source."""
    with tempfile.TemporaryDirectory() as scratch:
        command = ["nvcc", "-std=c++17", f"-arch={architecture}", "-Xptxas=-v", "-cubin", f"-I{ROOT}/cpp/include"]
        command += [f"-I{ROOT}/cuda/include", str(source), "-o", f"{scratch}/out"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    log = subprocess.run(["c++filt"], input=done.stderr, capture_output=True, text=True, check=True).stdout
    for part in log.split("Compiling entry function '")[1:]:
        name = part.split("(krige_cuda::", 1)[0] if part.startswith("void") else part.split("' for", 1)[0]
        short = re.sub(r"\(anonymous namespace\)::|krige_cuda::|^void |\(krige::Family\)", "", name).split("(")[0]
        yield Kernel(
            architecture,
            short,
            int(_found(r"Used (\d+) registers", part)),
            int(_found(r"(\d+) bytes smem", part)),
            sum(int(n) for n in re.findall(r"(\d+) bytes (?:stack frame|spill stores|spill loads)", part)),
        )


def _found(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    return match.group(1) if match else "0"


def main() -> int:
    """Prints the table."""
    if not shutil.which("nvcc"):
        print("nvcc: not found; install the CUDA toolkit (12 or 13)")
        return 1
    print(f"{'':6} {'kernel':34} {'registers':>9} {'shared':>7} {'spilled':>7}")
    kernels = [k for s in sorted((ROOT / "cuda/src").glob("*.cu")) for a in ARCHITECTURES for k in compiled(s, a)]
    for k in sorted(kernels):
        print(f"{k.architecture:6} {k.name:34} {k.registers:9} {k.shared:7} {k.spilled:7}")
    return int(any(k.spilled for k in kernels))


if __name__ == "__main__":
    sys.exit(main())
