"""Lists and runs the benchmarks: every bench/<part>/run.py is one.

python bench/run.py --list
python bench/run.py core -- --sizes 100 300
"""

from __future__ import annotations

import argparse
import ast
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def parts() -> dict[str, str]:
    """The first line of each part's docstring, by its name."""
    found = {}
    for script in sorted(HERE.glob("*/run.py")):
        found[script.parent.name] = (ast.get_docstring(ast.parse(script.read_text())) or "").partition("\n")[0]
    return found


def main() -> int:
    known = parts()
    parser = argparse.ArgumentParser(description="Runs benchmarks, one after the other.")
    parser.add_argument("--list", action="store_true", help="list the parts and end")
    parser.add_argument("part", nargs="*", help=f"which to run (default: all of {', '.join(known)})")
    own, rest = _split(sys.argv[1:])
    asked = parser.parse_args(own)
    if asked.list:
        for name, line in known.items():
            print(f"{name:<12}{line}")
        return 0
    unknown = set(asked.part) - set(known)
    if unknown:
        parser.error(f"part: expected one of {', '.join(known)}, got {', '.join(sorted(unknown))}")
    worst = 0
    for name in asked.part or known:
        print(f"\n# {name}: {known[name]}", flush=True)
        worst = max(worst, subprocess.run([sys.executable, str(HERE / name / "run.py"), *rest], check=False).returncode)
    return worst


def _split(arguments: list[str]) -> tuple[list[str], list[str]]:
    """What stands before and after "--"; the latter goes to the parts."""
    at = arguments.index("--") if "--" in arguments else len(arguments)
    return arguments[:at], arguments[at + 1 :]


if __name__ == "__main__":
    sys.exit(main())
