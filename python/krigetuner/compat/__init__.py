"""Code that says `import keras_tuner` or `import kerastuner` runs on KrigeTuner.

`krigetuner.compat.install()` before the first such import, or `python -m krigetuner.compat script.py` for a script that
is left as it is. Below the package every module is the very same object: `keras_tuner.engine.trial` is
`krigetuner.engine.trial`, and so are the classes in it.
"""

from __future__ import annotations

from krigetuner.compat.aliases import install, installed, uninstall

__all__ = ["install", "installed", "uninstall"]
