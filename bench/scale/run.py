"""Many trials: what one costs in one process, and how busy thirty workers are kept.

python bench/scale/run.py [throughput|parallel] [-- their arguments]
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PARTS = ("throughput", "parallel")


def main() -> int:
    own = sys.argv[1 : sys.argv.index("--")] if "--" in sys.argv else sys.argv[1:]
    rest = sys.argv[sys.argv.index("--") + 1 :] if "--" in sys.argv else []
    if set(own) - set(PARTS):
        print(f"part: expected {' or '.join(PARTS)}, got {' '.join(own)}", file=sys.stderr)
        return 2
    worst = 0
    for part in own or PARTS:
        script = str(Path(__file__).with_name(f"{part}.py"))
        worst = max(worst, subprocess.run([sys.executable, script, *rest], check=False).returncode)
    return worst


if __name__ == "__main__":
    sys.exit(main())
