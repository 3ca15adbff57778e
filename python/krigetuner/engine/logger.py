"""Those who hear of a search. Names of `kerastuner.engine.logger`; its cloud service, and `CloudLogger`, are gone."""

from __future__ import annotations

from krigetuner.tuners.logger import Logger

__all__ = ["Logger"]
