"""The learning rate of each step."""

import math
from dataclasses import dataclass

from kwsd.errors import UsageError


@dataclass(frozen=True)
class Schedule:
    """Stages, as the tutorial's two lists say, or a cosine that falls to zero within each stage; after a warm-up.

    Steps count from 1.
    """

    steps: tuple[int, ...]
    rates: tuple[float, ...]
    shape: str = "stages"
    warmup_steps: int = 0

    @property
    def total(self) -> int:
        """Steps of all stages together."""
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


def parse_schedule(steps: str, rates: str, shape: str, warmup_steps: int) -> Schedule:
    """A schedule of two comma lists of equal length. UsageError says what is wrong with them."""
    step_texts, rate_texts = steps.split(","), rates.split(",")
    if len(step_texts) != len(rate_texts):
        raise UsageError(
            "--how_many_training_steps and --learning_rate",
            f"must be equal length lists, but are {len(step_texts)} and {len(rate_texts)} long instead",
        )
    try:
        schedule = Schedule(tuple(map(int, step_texts)), tuple(map(float, rate_texts)), shape, warmup_steps)
    except ValueError as error:
        raise UsageError("--how_many_training_steps and --learning_rate", str(error)) from error
    if min(schedule.steps) < 1 or warmup_steps < 0:
        raise UsageError("--how_many_training_steps", "every stage must have at least one step")
    return schedule
