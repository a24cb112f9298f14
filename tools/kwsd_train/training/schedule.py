"""The learning rate of each step."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from kwsd.errors import UsageError

SHAPES = ("stages", "cosine")
"""The rate in each stage: constant, or falling to zero."""


@dataclass(frozen=True)
class Schedule:
    """Stages, as in the tutorial's two lists, or a cosine that falls to zero within each stage; after a warm-up.

    Steps count from 1.
    """

    steps: tuple[int, ...]
    rates: tuple[float, ...]
    shape: str = "stages"
    warmup_steps: int = 0

    @property
    def total(self) -> int:
        """Number of steps of all stages."""
        return sum(self.steps)

    def rate(self, step: int) -> float:
        """The first stage whose end is at least ``step`` gives the rate; after the last it stays."""
        stage, begin = 0, 0
        while stage < len(self.steps) - 1 and step > begin + self.steps[stage]:
            begin += self.steps[stage]
            stage += 1
        rate = self.rates[stage]
        warm = min(1.0, step / self.warmup_steps) if self.warmup_steps else 1.0
        if self.shape == "cosine":
            rate *= (1 + math.cos(math.pi * min((step - begin) / self.steps[stage], 1))) / 2
        return rate * warm


def make_schedule(steps: Sequence[int], rates: Sequence[float], shape: str, warmup_steps: int) -> Schedule:
    """The schedule of two lists. UsageError if their lengths differ."""
    if len(steps) != len(rates):
        raise UsageError(
            "--how_many_training_steps and --learning_rate",
            f"must be equal length lists, but are {len(steps)} and {len(rates)} long instead",
        )
    return Schedule(tuple(steps), tuple(rates), shape, warmup_steps)
