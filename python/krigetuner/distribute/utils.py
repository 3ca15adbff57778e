"""Which part this process has in a search of several. Names of `keras_tuner.distribute.utils`."""

from __future__ import annotations

from krigetuner.run.network.role import has_chief_oracle, is_chief_oracle

__all__ = ["has_chief_oracle", "is_chief_oracle"]
