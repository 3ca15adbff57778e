"""Which part this process has in a search of several. Names of `keras_tuner.distribute.utils`."""

from __future__ import annotations

import os

__all__ = ["has_chief_oracle", "is_chief_oracle"]


def has_chief_oracle() -> bool:
    """Whether the environment says that the oracle lives in a chief process (KERASTUNER_ORACLE_IP).

    Raises:
        RuntimeError: KERASTUNER_ORACLE_IP is set without KERASTUNER_ORACLE_PORT or KERASTUNER_TUNER_ID.
    """
    if "KERASTUNER_ORACLE_IP" not in os.environ:
        return False
    for name in ("KERASTUNER_ORACLE_PORT", "KERASTUNER_TUNER_ID"):
        if name not in os.environ:
            raise RuntimeError(
                f'Environment variable "KERASTUNER_ORACLE_IP" was set, but "{name}" was not. Set it on the chief and '
                "on every worker"
            )
    return True


def is_chief_oracle() -> bool:
    """Whether this process is the chief: it has a chief, and "chief" is in its KERASTUNER_TUNER_ID."""
    return has_chief_oracle() and "chief" in os.environ["KERASTUNER_TUNER_ID"]
