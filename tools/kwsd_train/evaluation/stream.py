"""A test recording made of clips and background, after TensorFlow's generate_streaming_test_wav.py.

With the tutorial's settings the draws come in the original's order, from one generator of the same kind
(numpy's RandomState), so that a seed gives the same result as the original after ``np.random.seed``. (Apache-2.0; the
algorithm, not its text.)
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from kwsd_train.batches import augment
from kwsd_train.batches.augment import Signal
from kwsd_train.data.folders import SILENCE_INDEX, UNKNOWN_INDEX, Clip

SEGMENT_EXTRA_MS, SEGMENT_RAMP_MS = 500, 250
WORD_RAMP_SAMPLES = 500


@dataclass(frozen=True)
class Settings:
    """The parameters of a stream.

    Attributes:
        group_words: number of words in a group, ``group_stride_ms`` from start to start; ``same_word``: whether all
            words of a group are the same.
        word_gap_ms: added to the length of a group, from one group to the next; the group starts at random within it.
        unknown_percentage: share of the words that are other words.
        background_volume: upper end of the volume drawn for each piece of background.
        snr_db: instead of volumes, the ratio between the louder half of each word's 20 ms frames and the mean power of
            the noise in its clip; None for volumes.
    """

    rate_hz: int = 16_000
    duration_s: int = 600
    clip_ms: int = 1000
    word_gap_ms: int = 2000
    unknown_percentage: int = 30
    group_words: int = 1
    group_stride_ms: int = 1200
    same_word: bool = False
    background_volume: float = 0.1
    snr_db: float | None = None

    def samples(self, ms: float) -> int:
        return int(ms * self.rate_hz / 1000)


class Said(NamedTuple):
    """A word of the stream: its label's index, and where its clip starts, in samples."""

    label: int
    start: int


@dataclass(frozen=True)
class Material:
    """The material of a stream.

    Attributes:
        clips: of one set, in the order of its index.
        load: the samples of one of them.
        background: long recordings, each longer than a clip.
        responses: rooms; none for no reverberation.
    """

    clips: Sequence[Clip]
    load: Callable[[Clip], Signal]
    background: Sequence[Signal]
    responses: Sequence[Signal] = ()


def make(settings: Settings, words: int, material: Material, seed: int) -> tuple[Signal, list[Said]]:
    """The stream, float32, not yet clipped to -1..1, and its words.

    Args:
        words: how many wanted words there are; their labels are 2, 3, ...
    """
    draw = np.random.RandomState(seed)
    track = np.zeros(settings.rate_hz * settings.duration_s, np.float32)
    noise = track if settings.snr_db is None else np.zeros_like(track)
    _lay_background(noise, settings, material.background, draw)
    spoken = np.zeros_like(track) if settings.snr_db is not None else track
    said = _lay_words(spoken, settings, words, material, draw)
    if settings.snr_db is not None:
        track = spoken + noise * _noise_gains(spoken, noise, said, settings)
    return track, said


def mix(
    track: Signal, start: int, sample: Signal, sample_start: int, count: int, volume: float, ramp_in: int, ramp_out: int
) -> None:
    """Add up to ``count`` samples to ``track`` from ``start`` on, faded in and out, in place.

    The fade-out ends at ``count``: a sample that ends before is cut without one. Products are made in double
    precision, as the original's are, and the sum is rounded to float32 once.
    """
    kept = max(0, min(count, len(track) - start, len(sample) - sample_start))
    place = np.arange(kept)
    envelope = np.ones(kept)
    falling = place > count - ramp_out
    envelope[falling] = (count - place[falling]) / ramp_out
    rising = place < ramp_in
    envelope[rising] = place[rising] / ramp_in
    piece = sample[sample_start : sample_start + kept].astype(np.float64)
    track[start : start + kept] = track[start : start + kept] + piece * envelope * volume


def _lay_background(
    track: Signal, settings: Settings, background: Sequence[Signal], draw: np.random.RandomState
) -> None:
    """Pieces half a second longer than a clip, one per clip length, each from a random place in a random recording."""
    clip = settings.samples(settings.clip_ms)
    length, ramp = clip + settings.samples(SEGMENT_EXTRA_MS), settings.samples(SEGMENT_RAMP_MS)
    for start in range(0, len(track), clip):
        recording = background[draw.randint(len(background))]
        sample_start = draw.randint(0, len(recording) - clip)
        volume = draw.uniform(0, settings.background_volume)
        if settings.snr_db is not None:  # level pieces: their loudness is determined word by word
            power = float(np.mean(np.square(recording[sample_start : sample_start + length], dtype=np.float64)))
            volume = 0.01 / power**0.5 if power > 0 else 0.0
        mix(track, start, recording, sample_start, length, volume, ramp, ramp)


def _lay_words(
    track: Signal, settings: Settings, words: int, material: Material, draw: np.random.RandomState
) -> list[Said]:
    clip, gap = settings.samples(settings.clip_ms), settings.samples(settings.word_gap_ms)
    step = settings.samples(settings.group_stride_ms)
    stride = clip + (settings.group_words - 1) * step + gap
    said = []
    for group in range(len(track) // stride):
        start = group * stride + (draw.randint(gap) if gap else 0)
        label, response = SILENCE_INDEX, None
        for place in range(settings.group_words):
            if place == 0 or not settings.same_word:
                is_unknown = draw.randint(100) < settings.unknown_percentage
                label = UNKNOWN_INDEX if is_unknown else 2 + draw.randint(words)
            signal = augment.fit(material.load(_draw_clip(material.clips, label, draw)), clip)
            if material.responses:
                if response is None:
                    response = material.responses[draw.randint(len(material.responses))]
                signal = augment.colour(augment.fit(signal, clip + len(response)), augment.Room(response), None)
            at = start + place * step
            mix(track, at, signal, 0, len(signal), 1.0, WORD_RAMP_SAMPLES, WORD_RAMP_SAMPLES)
            said.append(Said(label, at))
    return said


def _draw_clip(clips: Sequence[Clip], label: int, draw: np.random.RandomState) -> Clip:
    """A clip of that label: the first one in a shuffled list, searched circularly from a random place."""
    first = draw.randint(len(clips))
    order = np.arange(len(clips))
    draw.shuffle(order)
    round_to_it: list[int] = np.concatenate([order[first:], order[:first]]).tolist()
    return next(clips[number] for number in round_to_it if clips[number].label == label)


def _noise_gains(spoken: Signal, noise: Signal, said: Sequence[Said], settings: Settings) -> Signal:
    """The factors for the noise, shape (n,): constant in each word's clip, interpolated between them.

    Clips without sound, or without noise under them, are ignored. If words overlap, the later one determines it.
    """
    assert settings.snr_db is not None
    clip = settings.samples(settings.clip_ms)
    places, gains_db = [], []
    for number, (_, start) in enumerate(said):
        end = min(start + clip, len(spoken))
        if number + 1 < len(said):
            end = min(end, max(said[number + 1].start, start + 1))
        noise_power = float(np.mean(np.square(noise[start : start + clip], dtype=np.float64)))
        word_power = augment.word_power(spoken[start : start + clip])
        if noise_power > 0 and word_power > 0:
            places += [start, end - 1]
            gains_db += [10 * np.log10(word_power / noise_power) - settings.snr_db] * 2
    if not places:
        return np.ones_like(noise)
    curve_db = np.interp(np.arange(len(noise)), places, gains_db)
    return np.asarray(10 ** (curve_db / 20), np.float32)
