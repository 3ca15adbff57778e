"""The tuner that trains several times for each trial. Names of `kerastuner.engine.multi_execution_tuner`.

Every Keras tuner does so now: `MultiExecutionTuner` is `Tuner`.
"""

from __future__ import annotations

from krigetuner.tuners.tuner import Tuner

MultiExecutionTuner = Tuner

__all__ = ["MultiExecutionTuner"]
