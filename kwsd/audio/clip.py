"""The beginning of a recording as one clip, for commands that score single clips."""

import numpy as np
from numpy.typing import NDArray

from kwsd.audio.file import open_source
from kwsd.audio.source import Block, End


def read_clip(path: str, rate_hz: int, samples: int, *, any_format: bool = False) -> NDArray[np.float32]:
    """The first channel's first ``samples`` samples at ``rate_hz``, in -1..1, padded with zeros if there are fewer.

    Takes what ``open_source`` takes and raises what it raises.
    """
    return read_beginning(path, rate_hz, samples, any_format=any_format)[0]


def read_beginning(
    path: str, rate_hz: int, samples: int, *, any_format: bool = False
) -> tuple[NDArray[np.float32], bool]:
    """The same, and whether the recording is longer."""
    clip = np.zeros(samples, np.float32)
    filled, is_longer = 0, False
    source = open_source(path, rate_hz, any_format=any_format)
    try:
        while not is_longer:
            item = source.read(1.0)
            if isinstance(item, End):
                break
            if isinstance(item, Block):
                taken = item.samples[: samples - filled]
                clip[filled : filled + len(taken)] = taken
                filled += len(taken)
                is_longer = len(item.samples) > len(taken)
    finally:
        source.close()
    return clip, is_longer
