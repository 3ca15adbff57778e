"""`python -m krigetuner.compat script.py [arguments]`: runs a script that imports KerasTuner on KrigeTuner."""

from __future__ import annotations

import runpy
import sys
from collections.abc import Sequence
from pathlib import Path

from krigetuner.compat.aliases import install

USAGE = """usage: python -m krigetuner.compat script.py [arguments]
       python -m krigetuner.compat -m module [arguments]

Runs a script or a module, unchanged, with KrigeTuner in the place of KerasTuner: `import keras_tuner` and `import
kerastuner` give KrigeTuner's own modules.
"""


def main(arguments: Sequence[str]) -> int:
    """Runs what the command line names as `__main__`, as Python itself would.

    Returns:
        2 when it names nothing that can be run, else 0; the script's own exit passes through.
    """
    if arguments and arguments[0] in ("-h", "--help"):
        sys.stdout.write(USAGE)
        return 0
    module = bool(arguments) and arguments[0] == "-m"
    if len(arguments) <= module or (not module and arguments[0].startswith("-")):
        sys.stderr.write(USAGE)
        return 2
    target, rest = arguments[module], list(arguments[module + 1 :])
    if not module and not Path(target).exists():
        sys.stderr.write(f"python -m krigetuner.compat: expected a script, got {target}, which does not exist\n")
        return 2
    install()
    sys.argv = [target, *rest]
    if module:
        runpy.run_module(target, run_name="__main__", alter_sys=True)  # sys.path[0] is the current directory already
    else:
        sys.path[0] = str(Path(target).resolve().parent)
        runpy.run_path(target, run_name="__main__")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
