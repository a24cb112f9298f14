"""Synthetic sounds that models tend to mistake for words: ticks, knocks, hum, whistles, rustle.

Pure functions; random numbers come from the generator passed in.
"""

import numpy as np

from kwsd_train.batches.augment import Signal

_LEVEL_DBFS = (-40.0, -6.0)
_COLOUR_POINTS = 9
_MAINS_HZ = (50.0, 60.0, 100.0, 120.0)


def make(count: int, rate_hz: int, draw: np.random.Generator) -> Signal:
    """One or two of these sounds, (count,) in -1..1, their loudest sample at a level drawn from -40 to -6 dBFS."""
    kinds = (ticks, ticks, hum, whistle, rustle)
    chosen = draw.integers(len(kinds), size=draw.integers(1, 3))
    total = np.sum([kinds[kind](count, rate_hz, draw) * draw.uniform(0.3, 1) for kind in chosen], axis=0)
    peak = np.abs(total).max()
    level = 10 ** (draw.uniform(*_LEVEL_DBFS) / 20)
    made: Signal = (total * (level / peak if peak > 0 else 0)).astype(np.float32)
    return made


def ticks(count: int, rate_hz: int, draw: np.random.Generator) -> Signal:
    """Ticks, clicks, knocks: 1 to 8 hits, evenly spaced or not, each a few decaying resonances and some coloured noise.

    Half of the time a hit is a rattle of up to six within 80 ms, like clockwork, switches and doors. Some decay as
    slowly as in a wooden case or a room, so that they are as long as a short vowel.
    """
    hits = int(draw.integers(1, 9))
    if draw.random() < 0.5:
        period = draw.uniform(0.08, 1.0) * rate_hz
        starts = (draw.uniform(0, period) + period * np.arange(hits)).astype(int)
    else:
        starts = draw.integers(0, count, hits)
    length = int(0.4 * rate_hz)
    seconds = np.arange(length) / rate_hz
    modes = int(draw.integers(1, 5))
    frequencies = np.exp(draw.uniform(np.log(150), np.log(0.45 * rate_hz), modes))
    decays_s = np.exp(draw.uniform(np.log(0.001), np.log(0.08), modes + 1))
    hit = np.zeros(length)
    for frequency, decay_s in zip(frequencies, decays_s, strict=False):
        hit += draw.uniform(0.2, 1) * np.sin(2 * np.pi * frequency * seconds) * np.exp(-seconds / decay_s)
    spectrum = np.fft.rfft(draw.standard_normal(length))
    points = np.linspace(0, len(spectrum), _COLOUR_POINTS)
    colour_db = np.interp(np.arange(len(spectrum)), points, draw.uniform(-40, 0, _COLOUR_POINTS))
    breath = np.fft.irfft(spectrum * 10 ** (colour_db / 20), length)
    hit += draw.uniform(0, 3) * breath * np.exp(-seconds / decays_s[-1])
    if draw.random() < 0.5:
        spread = int(0.08 * rate_hz)
        rattle = np.zeros(length + spread)
        for start in draw.integers(0, spread, int(draw.integers(2, 7))):
            rattle[start : start + length] += draw.uniform(0.1, 1) * hit
        hit = rattle
    track = np.zeros(count + len(hit))
    for start in starts[starts < count]:
        track[start : start + len(hit)] += draw.uniform(0.5, 1) * hit
    return track[:count].astype(np.float32)


def hum(count: int, rate_hz: int, draw: np.random.Generator) -> Signal:
    """Mains hum or a motor: harmonics of a low tone."""
    mains = draw.random() < 0.5
    base_hz = _MAINS_HZ[int(draw.integers(len(_MAINS_HZ)))] if mains else draw.uniform(40, 300)
    seconds = np.arange(count) / rate_hz
    harmonics = np.arange(1, int(draw.integers(2, 20)))
    weights = draw.uniform(0, 1, len(harmonics)) * harmonics ** -draw.uniform(0, 2)
    phases = draw.uniform(0, 2 * np.pi, len(harmonics))
    tones = np.sin(2 * np.pi * base_hz * harmonics[:, None] * seconds + phases[:, None])
    return (weights @ tones).astype(np.float32)


def whistle(count: int, rate_hz: int, draw: np.random.Generator) -> Signal:
    """A beep or a glide, on for some part of the clip."""
    ends_hz = np.exp(draw.uniform(np.log(200), np.log(0.45 * rate_hz), 2))
    if draw.random() < 0.5:
        ends_hz[1] = ends_hz[0]
    length = int(draw.uniform(0.05, 1) * count)
    phase = 2 * np.pi * np.cumsum(np.geomspace(ends_hz[0], ends_hz[1], length)) / rate_hz
    edge = np.minimum(np.arange(length), np.arange(length)[::-1]) / (draw.uniform(0.002, 0.05) * rate_hz)
    start = int(draw.integers(count - length + 1))
    track = np.zeros(count, np.float32)
    track[start : start + length] = np.sin(phase) * np.minimum(edge, 1)
    return track


def rustle(count: int, rate_hz: int, draw: np.random.Generator) -> Signal:
    """Intermittent noise of a slope drawn between white and brown."""
    spectrum = np.fft.rfft(draw.standard_normal(count))
    spectrum[1:] *= np.arange(1, len(spectrum)) ** -draw.uniform(0, 1.2)
    points = int(draw.integers(2, 12))
    envelope = np.interp(np.arange(count), np.linspace(0, count, points), draw.uniform(0, 1, points) ** 3)
    noise: Signal = (np.fft.irfft(spectrum, count) * envelope).astype(np.float32)
    return noise
