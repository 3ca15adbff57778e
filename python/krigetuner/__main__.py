"""`python -m krigetuner` is the command `krigetuner`."""

from __future__ import annotations

import sys

from krigetuner.cli import main

if __name__ == "__main__":
    sys.exit(main())
