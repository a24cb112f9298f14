"""The quality of a recorded take. Pure functions on float32 samples in -1..1, shape (n,)."""

import numpy as np

from kwsd.audio.signal import FRAME_SAMPLES, Signal, frame_powers, word_extent

FULL_SCALE = 0.999
CLIPPED_SHARE = 0.001
QUIET_DBFS = -45.0
STANDS_OUT_DB = 12.0
CORE_DB = 10.0
"""A word's core: the frames less than this below its loudest."""


def loudest(signal: Signal, count: int) -> Signal:
    """The ``count`` consecutive samples with the most energy, with the word in their middle if there is a choice.

    After extract_loudest_section of the data set's makers (Speech Commands, arXiv 1804.03209), which takes the first.
    """
    if len(signal) <= count:
        return signal
    sums = np.concatenate([[0.0], np.cumsum(np.square(signal, dtype=np.float64))])
    energies = sums[count:] - sums[:-count]
    equal = np.flatnonzero(energies >= 0.99 * energies.max())
    start = int(equal[len(equal) // 2])
    return signal[start : start + count]


def fault(take: Signal, count: int) -> str | None:
    """Why a take is unusable as a clip of ``count`` samples, in words; None if it is usable."""
    if not take.any():
        return "all samples are zero: is the microphone muted?"
    if np.mean(np.abs(take) >= FULL_SCALE) > CLIPPED_SHARE:
        return "clipped: speak from farther away, or lower the microphone's gain"
    powers = frame_powers(take)
    levels_db = 10 * np.log10(np.maximum(powers, 1e-12))
    loud_db = float(levels_db.max())
    if loud_db < QUIET_DBFS:
        return f"too quiet ({loud_db:.0f} dBFS): speak up, or raise the microphone's gain"
    if loud_db - float(np.quantile(levels_db, 0.2)) < STANDS_OUT_DB:
        return "no word stands out from the background"
    begin, end = word_extent(take, CORE_DB)
    if begin == 0 or end >= len(powers) * FRAME_SAMPLES:
        return "cut off: begin after the prompt, and end before the time is over"
    if end - begin > count:
        return "the word is longer than a clip"
    return None
