"""What can vary: hyperparameters, their conditions, the recorder that user code asks, and the space as a cube."""

from krigetuner.space.conditions import Condition, Parent
from krigetuner.space.parameters import Boolean, Choice, Fixed, Float, HyperParameter, Int, deserialize, serialize
from krigetuner.space.recorder import HyperParameters
from krigetuner.space.space import INACTIVE, Space

__all__ = [
    "INACTIVE",
    "Boolean",
    "Choice",
    "Condition",
    "Fixed",
    "Float",
    "HyperParameter",
    "HyperParameters",
    "Int",
    "Parent",
    "Space",
    "deserialize",
    "serialize",
]
