"""Long recordings cut at their pauses. Pure functions on float32 samples in -1..1, shape (n,)."""

from typing import NamedTuple

import numpy as np

from kwsd.audio import takes
from kwsd_train.batches.augment import Signal

GRAIN_MS = 20
STANDS_OUT_DB = 12.0
"""Sound this far above the background is speech..."""
BELOW_PEAK_DB = 35.0
"""...if it is not farther than this below the loudest."""
SHORTEST_MS = 120
"""Shorter sounds are clicks."""


class Piece(NamedTuple):
    """A stretch of speech between two pauses, in samples."""

    begin: int
    end: int


def pieces(signal: Signal, rate_hz: int, pause_ms: int) -> list[Piece]:
    """The pieces that stand out from the background and have at least ``pause_ms`` between them."""
    grain = rate_hz * GRAIN_MS // 1000
    frames = signal[: len(signal) // grain * grain].reshape(-1, grain)
    powers = np.mean(np.square(frames, dtype=np.float64), axis=1)
    if not len(powers) or not powers.max():
        return []
    floor = max(float(np.quantile(powers, 0.1)), 1e-12)
    loud = powers > max(floor * 10 ** (STANDS_OUT_DB / 10), powers.max() * 10 ** (-BELOW_PEAK_DB / 10))
    if floor * 10 ** (STANDS_OUT_DB / 10) > powers.max():  # without any pause
        loud = powers > powers.max() * 10 ** (-BELOW_PEAK_DB / 10)
    places = np.flatnonzero(loud)
    groups = np.split(places, np.flatnonzero(np.diff(places) > pause_ms / GRAIN_MS) + 1)
    found = [Piece(int(group[0]) * grain, (int(group[-1]) + 1) * grain) for group in groups]
    return [piece for piece in found if piece.end - piece.begin >= rate_hz * SHORTEST_MS / 1000]


def clip(signal: Signal, piece: Piece, before: int, after: int, count: int) -> Signal:
    """``count`` samples with the piece in their middle, or the loudest ones of a longer piece.

    Args:
        before: sample up to which the recording belongs to the previous piece; ``after``: from which to the next one.
            These parts are replaced by background.
    """
    if piece.end - piece.begin >= count:
        return takes.loudest(signal[piece.begin : piece.end], count)
    start = (piece.begin + piece.end - count) // 2
    own = np.arange(max(start, before, 0), min(start + count, after, len(signal)))
    cut = np.zeros(count, np.float32)
    cut[own - start] = signal[own]
    rest = np.ones(count, bool)
    rest[own - start] = False
    quiet = signal[own[(own < piece.begin) | (own >= piece.end)]]
    level = float(np.sqrt(np.mean(np.square(quiet)))) if len(quiet) else 1e-4
    # microphones never give digital silence, and a model would learn it
    cut[rest] = np.random.default_rng(0).normal(0, max(level, 1e-5), int(rest.sum()))
    return cut
