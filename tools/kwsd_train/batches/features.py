"""The link to ``kwsd.frontend``: training and listening share one implementation of features."""

from collections.abc import Mapping
from typing import Any

from kwsd import frontend
from kwsd.errors import ConfigError, UsageError
from kwsd_train.flags.options import frontend_params


def create(settings: Mapping[str, Any]) -> frontend.Frontend:
    """The front end for resolved flags. UsageError if they contradict each other."""
    try:
        return frontend.create(frontend_params(settings) | {"sample_rate_hz": settings["sample_rate"]})
    except ConfigError as error:
        raise UsageError("features", "; ".join(error.faults), "Change the flags of the same names.") from error


def shape(settings: Mapping[str, Any]) -> tuple[int, int]:
    """(frames, width) of one clip."""
    front = create(settings)
    return front.frames(settings["sample_rate"] * settings["clip_duration_ms"] // 1000), front.width
