"""The batch of a step: features and targets as a pure function of the seed and the step's number.

There is no state from batch to batch, so training that stops and resumes sees the same batches.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kwsd import frontend
from kwsd_train.batches import augment, features, made_noise, sampling
from kwsd_train.batches.augment import Signal
from kwsd_train.batches.training_data import NOT_NAMED, Data, Rows
from kwsd_train.data.folders import (
    SETS,
    SILENCE_INDEX,
    UNKNOWN_INDEX,
    labels_of,
)
from kwsd_train.data.recordings import Recordings
from kwsd_train.flags import options
from kwsd_train.flags.options import words
from kwsd_train.training import teacher

FULL_SHARE, HALF_SHARE, GONE_SHARE = 0.95, 0.55, 0.03
"""Shares of a word's extent: from the first on it is present, up to the second cut, up to the third absent."""

NARROW_HZ = (3500.0, 7000.0)
"""Upper limits of narrow microphones and codecs: telephones, headsets, reconstructions from pictures."""

_TRIES = 8


class Word(NamedTuple):
    """An example in progress: samples, the label's index (-1: unknown), the target row (labels,), and the index in
    `Data.spoken` of its word.
    """

    signal: Signal
    label: int
    target: Rows
    spoken: int = NOT_NAMED


class Batch(NamedTuple):
    """Features (batch, frames, width), targets (batch, labels), whose rows add up to 1, and the index in
    `Data.spoken` of each clip's word, (batch,).
    """

    rows: Rows
    targets: Rows
    spoken: NDArray[np.int32]


class Examples:
    """Makes batches. Each worker process has one.

    Args:
        data: the recordings.
        settings: resolved flags: features, data, augmentation, and ``batch_size``.
        front: the ``frontend`` mapping of a model (with ``sample_rate_hz``) instead of the flags' front end.
    """

    def __init__(self, data: Data, settings: Mapping[str, Any], front: Mapping[str, Any] | None = None) -> None:
        self.data = data
        self.settings = dict(settings)
        self.rate_hz: int = settings["sample_rate"]
        self.clip_samples: int = self.rate_hz * settings["clip_duration_ms"] // 1000
        self.shift_samples = int(settings["time_shift_ms"] * self.rate_hz / 1000)
        self.names = labels_of(words(settings))
        self.labels = len(self.names)
        learnt = data.sets["training"]
        self._sampler = sampling.create(learnt.labels, learnt.voices, learnt.made, words(settings), settings)
        responses = data.responses
        self._rooms = [] if responses is None else [augment.Room(responses[at]) for at in range(len(responses))]
        self.frontend = frontend.create(front) if front else features.create(settings)
        described = front or {**options.frontend_params(settings), "sample_rate_hz": self.rate_hz}
        self._listeners = teacher.listeners(data.listeners, described, self.clip_samples, self.names)
        self._taught = teacher.known_to(self._listeners, self.names)
        self._taught[SILENCE_INDEX] = False

    def batch(self, step: int) -> Batch:
        """The batch of one step."""
        draw = np.random.default_rng((self.settings["seed"], step))
        size = self.settings["batch_size"]
        speech = round(size * self.settings["speech_percentage"] / 100)
        unlabelled = round(size * self.settings["unlabelled_percentage"] / 100) if self.data.unlabelled else 0
        sources = [self._speech] * speech + [self._unlabelled] * unlabelled
        labels = self._sampler.labels(size, size - len(sources), draw)
        sources += [partial(self._clip, label=label) for label in labels]
        targets = np.zeros((size, self.labels), np.float32)
        spoken = np.zeros(size, np.int32)
        taught = np.zeros(size, bool)
        signals = np.zeros((size, self.clip_samples), np.float32)
        for place, source in enumerate(sources[:size]):
            word = source(draw)
            signals[place] = self._surroundings(word, draw)
            targets[place], spoken[place] = word.target, word.spoken
            taught[place] = word.label < 0 or self._taught[word.label]
        batch = self.features(signals)
        for rows in batch:
            self._mask(rows, draw)
        if self._listeners:
            weight = np.float32(self.settings["teacher_weight"])
            targets[taught] += weight * (teacher.said_of(batch[taught], self._listeners, self.names) - targets[taught])
        if self.settings["mixup"]:
            share = draw.beta(self.settings["mixup"], self.settings["mixup"], size).astype(np.float32)
            other = draw.permutation(size)
            batch += (1 - share)[:, None, None] * (batch[other] - batch)
            targets += (1 - share)[:, None] * (targets[other] - targets)
            spoken[:] = NOT_NAMED  # each is two words then
        return Batch(batch, targets, spoken)

    def evaluation_set(self, name: str, start: int = 0, count: int | None = None) -> tuple[Rows, NDArray[np.int64]]:
        """Features (n, frames, width) and labels (n,) of a set, not augmented. Silence is background at a volume 0..1.

        Its silence is drawn from a generator seeded by the set and the entry, so that accuracies are comparable.
        """
        chosen = self.data.sets[name]
        numbers, labels = (
            part[start : None if count is None else start + count] for part in (chosen.numbers, chosen.labels)
        )
        signals = np.zeros((len(labels), self.clip_samples), np.float32)
        for place, number in enumerate(numbers):
            if number >= 0:
                signals[place] = augment.fit(self.data.clips[number], self.clip_samples)
            else:
                draw = np.random.default_rng((self.settings["seed"], SETS.index(name), start + place))
                signals[place] = self._background(draw) * np.float32(draw.uniform(0, 1))
        return self.features(signals), labels

    def features(self, signals: Signal) -> Rows:
        """Front-end rows of clips (n, samples): (n, frames, width), or (n, samples) of a waveform."""
        if not len(signals):  # such as when all recordings are by one person
            one = self.frontend.compute(np.zeros(self.clip_samples, np.float32))
            return np.zeros((0, *one.shape), np.float32)
        return np.stack([self.frontend.compute(signal) for signal in signals])

    def _clip(self, draw: np.random.Generator, label: int | None) -> Word:
        """A clip of the training set, of any label or of this one, somewhere in its window."""
        word = self._word(draw, label)
        if word.label != SILENCE_INDEX and draw.random() < self.settings["stream_frequency"]:
            return self._stream_window(word, draw)
        return word._replace(signal=self._shifted(word.signal, draw))

    def _shifted(self, signal: Signal, draw: np.random.Generator) -> Signal:
        moved = int(draw.integers(-self.shift_samples, self.shift_samples)) if self.shift_samples else 0
        if farther := int(self.settings["whole_shift_ms"] * self.rate_hz / 1000):
            begin, end = augment.word_extent(signal)
            earliest, latest = max(-farther, -begin), min(farther, len(signal) - end)
            moved = int(draw.integers(min(earliest, moved), max(latest, moved) + 1))
        return augment.shift(signal, moved)

    def _word(self, draw: np.random.Generator, label: int | None = None) -> Word:
        """A clip of the training set, of any label or of this one, at any pace."""
        entry = self._sampler.entry(label, draw)
        if entry == sampling.NO_CLIP:
            return self._plain(SILENCE_INDEX)
        chosen = self.data.sets["training"]
        number, label, target = int(chosen.numbers[entry]), int(chosen.labels[entry]), chosen.targets[entry]
        if number < 0:
            return Word(np.zeros(self.clip_samples, np.float32), label, target)
        signal = self._paced(augment.fit(self.data.clips[number], self.clip_samples), draw)
        return Word(signal, label, target, int(chosen.spoken[entry]))

    def _paced(self, signal: Signal, draw: np.random.Generator) -> Signal:
        spread = self.settings["speed_percentage"] / 100
        return augment.speed(signal, float(draw.uniform(1 - spread, 1 + spread))) if spread else signal

    def _stream_window(self, first: Word, draw: np.random.Generator) -> Word:
        """A window at any offset from ``first`` to another clip after a pause: a word, parts of words, or neither.

        If a word is repeated, a network that pools over time takes the end of the first and the beginning of the
        second for a third one, unless it has learned that they are not a word.
        """
        again = self.settings["repeat_frequency"]
        is_again = first.label > UNKNOWN_INDEX and again > 0 and draw.random() < again
        second = self._word(draw, first.label if is_again else None)
        second_start = self.clip_samples + int(draw.integers(0, self.rate_hz // 2))
        joined = np.zeros(second_start + self.clip_samples, np.float32)
        joined[: self.clip_samples] = first.signal
        joined[second_start:] = second.signal
        begin, end = augment.word_extent(second.signal)
        extents = [augment.word_extent(first.signal), (second_start + begin, second_start + end)]
        for _ in range(_TRIES):
            start = int(draw.integers(0, second_start + 1))
            kept = [augment.kept_share(extent, start, self.clip_samples) for extent in extents]
            word = self._heard(kept, (first, second))
            if word is not None:
                return word._replace(signal=joined[start : start + self.clip_samples])
        return first

    def _heard(self, kept: Sequence[float], words_there: Sequence[Word]) -> Word | None:
        """The label of a window with these shares of two words; None if it is ambiguous."""
        whole = [word for share, word in zip(kept, words_there, strict=True) if share >= FULL_SHARE]
        if whole and all(word.label == whole[0].label for word in whole):
            return whole[0]
        if whole or max(kept) > HALF_SHARE:
            return None
        return self._plain(SILENCE_INDEX if max(kept) <= GONE_SHARE else UNKNOWN_INDEX)

    def _plain(self, label: int, signal: Signal | None = None) -> Word:
        """A word whose target is just its label."""
        target = np.zeros(self.labels, np.float32)
        target[label] = 1
        return Word(np.zeros(self.clip_samples, np.float32) if signal is None else signal, label, target)

    def _speech(self, draw: np.random.Generator) -> Word:
        """A window of running speech without the words."""
        assert self.data.speech is not None
        return self._plain(UNKNOWN_INDEX, self._paced(self._piece(self.data.speech, draw), draw))

    def _unlabelled(self, draw: np.random.Generator) -> Word:
        """A window labelled only by teachers."""
        assert self.data.unlabelled is not None
        windows, targets = self.data.unlabelled.windows, self.data.unlabelled.targets
        entry = int(draw.integers(len(windows)))
        return Word(self._shifted(self._paced(windows[entry], draw), draw), -1, targets[entry])

    def _surroundings(self, word: Word, draw: np.random.Generator) -> Signal:
        """Room, microphone, noise and loudness. Silence gets background noise in any case."""
        settings, signal = self.settings, word.signal
        if word.label == SILENCE_INDEX and draw.random() < settings["quiet_frequency"]:
            level = 10 ** (draw.uniform(-110, -70) / 20) * (draw.random() < 0.75)
            return draw.normal(0, 1, self.clip_samples).astype(np.float32) * np.float32(level)
        if word.label == SILENCE_INDEX:
            volume = draw.uniform(0, 1)
            if draw.random() < settings["made_noise_frequency"]:
                volume **= 3  # it needs a quieter background to be audible
                made = made_noise.make(self.clip_samples, self.rate_hz, draw)
                signal = signal + self._coloured(made, draw)
            signal = signal + np.float32(volume) * self._background(draw)
        else:
            signal = self._noisy(self._coloured(self._over_voice(signal, draw), draw), draw)
        low_db, high_db = settings["gain_db"]
        if low_db != high_db:
            signal = augment.gain(signal, float(draw.uniform(low_db, high_db)))
        return np.clip(signal, -1, 1)

    def _over_voice(self, signal: Signal, draw: np.random.Generator) -> Signal:
        """With speech in the background; the louder of the two determines the label."""
        settings = self.settings
        if self.data.speech is None or draw.random() >= settings["voice_frequency"]:
            return signal
        voice = self._paced(self._piece(self.data.speech, draw), draw)
        return augment.mix_at_snr(signal, voice, float(draw.uniform(*settings["voice_snr_db"])))

    def _coloured(self, signal: Signal, draw: np.random.Generator) -> Signal:
        """In a room and through a microphone, possibly with the bandwidth of a telephone."""
        settings = self.settings
        in_room = self._rooms and draw.random() < settings["reverberation_frequency"]
        room = self._rooms[int(draw.integers(len(self._rooms)))] if in_room else None
        bend_db, narrow = settings["equalizer_db"], draw.random() < settings["narrow_frequency"]
        factors = None
        if bend_db or narrow:
            top = draw.uniform(*NARROW_HZ) * 2 / self.rate_hz if narrow else 1.0
            factors = augment.curve(draw.uniform(-bend_db, bend_db, 8), top)
        if room is None and factors is None:
            return signal
        return augment.colour(signal, room, factors)

    def _noisy(self, signal: Signal, draw: np.random.Generator) -> Signal:
        settings = self.settings
        if self.data.noise is not None and draw.random() < settings["noise_frequency"]:
            return augment.mix_at_snr(signal, self._background(draw), float(draw.uniform(*settings["snr_db"])))
        if len(self.data.background) and draw.random() < settings["background_frequency"]:
            volume = np.float32(draw.uniform(0, settings["background_volume"]))
            return signal + volume * self._piece(self.data.background, draw)
        return signal

    def _background(self, draw: np.random.Generator) -> Signal:
        """A clip's length of noise, from the background folder or, if used, the noise folder."""
        pools = [pool for pool in (self.data.background, self.data.noise) if pool is not None and len(pool)]
        return self._piece(pools[int(draw.integers(len(pools)))], draw)

    def _piece(self, pool: Recordings, draw: np.random.Generator) -> Signal:
        """A clip's length from anywhere in ``pool``, long recordings more often; short ones are padded."""
        number = int(np.searchsorted(pool.bounds, draw.integers(pool.bounds[-1]), "right")) - 1
        start = int(draw.integers(max(pool.length(number) - self.clip_samples, 0) + 1))
        return augment.fit(pool.excerpt(number, start, self.clip_samples), self.clip_samples)

    def _mask(self, rows: Rows, draw: np.random.Generator) -> None:
        frames, width = rows.shape[0], rows.shape[-1]  # samples, for waveform, have no width
        for _ in range(self.settings["time_masks"]):
            count = int(draw.integers(self.settings["time_mask_rows"] + 1))
            augment.mask_rows(rows, int(draw.integers(max(frames - count, 0) + 1)), count)
        for _ in range(self.settings["band_masks"]):
            count = int(draw.integers(self.settings["band_mask_bins"] + 1))
            augment.mask_columns(rows, int(draw.integers(max(width - count, 0) + 1)), count)
