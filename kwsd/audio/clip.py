"""The beginning of a recording as one clip, for whoever scores single clips."""

import numpy as np
from numpy.typing import NDArray

from kwsd.audio.file import open_source
from kwsd.audio.source import Block, End


def read_clip(path: str, rate_hz: int, samples: int) -> NDArray[np.float32]:
    """The first channel's first ``samples`` samples at ``rate_hz``, in -1..1, zeros behind where there are fewer.

    Takes what ``open_source`` takes and raises what it raises.
    """
    clip = np.zeros(samples, np.float32)
    filled = 0
    source = open_source(path, rate_hz)
    try:
        while filled < samples:
            item = source.read(1.0)
            if isinstance(item, End):
                break
            if isinstance(item, Block):
                taken = item.samples[: samples - filled]
                clip[filled : filled + len(taken)] = taken
                filled += len(taken)
    finally:
        source.close()
    return clip
