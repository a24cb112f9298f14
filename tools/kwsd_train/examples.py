"""The batch of a step: features and targets as a pure function of the seed and the step's number.

Nothing is remembered from batch to batch, so training that stops and resumes sees what it would have seen.
"""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kwsd import frontend
from kwsd.errors import InputError
from kwsd_train import augment, features, made_noise, options, recordings, sampling, teacher
from kwsd_train.augment import Signal
from kwsd_train.data import (
    SETS,
    SILENCE_INDEX,
    UNKNOWN_INDEX,
    Clip,
    background_files,
    build_index,
    labels_of,
    listed_files,
    speaker_of,
)
from kwsd_train.options import Folders, words
from kwsd_train.recordings import Recordings, Windows, is_audio

Rows = NDArray[np.float32]

_log = logging.getLogger("kwsd_train")

FULL_SHARE, HALF_SHARE, GONE_SHARE = 0.95, 0.55, 0.03
"""Of a word's extent: from the first on it counts as said, up to the second as half heard, up to the third as gone."""

NOT_NAMED = -1
"""In place of the number of a spoken word: none, a part of one, or one that nobody has named."""

NARROW_HZ = (3500.0, 7000.0)
"""Where the band of a narrow microphone or codec ends: a telephone's, a headset's, a reconstruction from pictures."""

_TRIES = 8


@dataclass(frozen=True)
class Set:
    """The clips of one of the three sets.

    ``numbers`` in ``Data.clips`` (-1: digital silence) and ``labels``, shape (n,); ``targets`` (n, labels): what is to
    be learnt, rows with a 1 at the label, or what teachers made of them; ``voices`` (n,): who speaks, as numbers;
    ``spoken`` (n,): which of ``Data.spoken`` is said, `NOT_NAMED` where that is not known; ``made`` (n,): whether a
    synthesized voice says it.
    """

    numbers: NDArray[np.int64]
    labels: NDArray[np.int64]
    targets: Rows
    voices: NDArray[np.int64]
    spoken: NDArray[np.int64]
    made: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class Unlabelled:
    """Windows of recordings without labels, and what teachers say of them: targets (n, labels)."""

    windows: Windows
    targets: Rows


@dataclass(frozen=True)
class Data:
    """All recordings that a run draws from, decoded. Small to pickle: the samples are mapped, not copied."""

    sets: Mapping[str, Set]
    clips: Recordings
    background: Recordings
    noise: Recordings | None
    speech: Recordings | None
    responses: Recordings | None
    unlabelled: Unlabelled | None = None
    listeners: Sequence[str] = ()
    """Teachers that are asked about every batch."""
    spoken: Sequence[str] = ()
    """All words of the training clips, wanted or not, one for each folder whose name is a word."""


def load_data(
    settings: Mapping[str, Any],
    where: Folders,
    teachers: Sequence[str] = (),
    unlabelled_dir: Path | None = None,
    *,
    teachers_hear_batches: bool = False,
    only: Sequence[str] | None = None,
) -> Data:
    """Find, decode and check what ``settings`` ask for; ask the ``teachers``. InputError names what is missing.

    Args:
        only: sets to test on; nobody trains then, and the others stay empty.
        teachers_hear_batches: leave the training clips' targets as they are; `Examples` asks the teachers.
    """
    rate_hz = settings["sample_rate"]
    index = build_index(
        where.data,
        words(settings),
        silence_percentage=settings["silence_percentage"],
        unknown_percentage=settings["unknown_percentage"],
        validation_percentage=settings["validation_percentage"],
        testing_percentage=settings["testing_percentage"],
        seed=settings["seed"],
        whole=settings["sampling"] == "balanced",
        only=only,
    )
    names = labels_of(words(settings))
    others = [] if only else _other_voices(index["training"], names, settings, where.cache)
    index["training"] += others
    made = {clip.path for clip in others}

    def decoded(files: Sequence[Path]) -> Recordings:
        try:
            return recordings.load(files, rate_hz, where.cache)
        except recordings.BadFilesError as error:
            if not settings.get("skip_bad"):
                raise
            for line in error.lines:
                _log.warning("left out: %s", line)
            return recordings.load([file for file in files if file not in error.errors], rate_hz, where.cache)

    clips = decoded(sorted({clip.path for name in SETS for clip in index[name] if clip.path}))
    paths = list(clips.paths)
    number = {path: place for place, path in enumerate(paths)}
    index = {name: [clip for clip in index[name] if clip.path is None or clip.path in number] for name in SETS}
    voices = {voice: place for place, voice in enumerate(sorted({speaker_of(path) for path in paths}))}

    folders = {clip.path.parent.name.lower() for clip in index["training"] if clip.path}
    spoken = sorted(folder for folder in folders if not folder.startswith("_"))

    def said(clip: Clip) -> int:
        folder = clip.path.parent.name.lower() if clip.path else ""
        return spoken.index(folder) if folder in spoken else NOT_NAMED

    def numbered(clips: Sequence[Clip]) -> Set:
        numbers = np.array([number[clip.path] if clip.path else -1 for clip in clips], np.int64)
        classes = np.array([clip.label for clip in clips], np.int64)
        heard = np.array([voices[speaker_of(clip.path)] if clip.path else -1 for clip in clips], np.int64)
        targets = np.eye(len(names), dtype=np.float32)[classes]
        spoken_words = np.array([said(clip) for clip in clips], np.int64)
        return Set(
            numbers, classes, targets, heard, spoken_words, np.array([clip.path in made for clip in clips], bool)
        )

    background_paths = background_files(where.data)
    if settings["silence_percentage"] > 0 and not background_paths:
        raise InputError(
            str(where.data),
            "no _background_noise_ folder to make silence from",
            "kwsd-train download brings one; or leave silence out: --silence_percentage 0.",
        )
    background = decoded(background_paths)
    clip_samples = rate_hz * settings["clip_duration_ms"] // 1000
    for place, path in enumerate(background_paths):
        if background.length(place) <= clip_samples:
            raise InputError(
                str(path),
                f"Background sample is too short! Need more than {clip_samples} samples "
                f"but only {background.length(place)} were found",
            )

    def optional(wish: str, folder: Path, flag: str, **columns: str) -> Recordings | None:
        return decoded(listed_files(folder, flag, **columns)) if settings.get(wish) else None

    speech = None
    if settings.get("speech_percentage") or settings.get("voice_frequency"):
        speech = decoded(listed_files(where.speech, "--speech_dir", words(settings), contains="", homophones=""))
    sets = {name: numbered(index[name]) for name in SETS}
    if teachers and not teachers_hear_batches:
        learnt = sets["training"]
        targets = teacher.blend(
            teachers, settings["teacher_weight"], clips, rate_hz, learnt.numbers, learnt.targets, names, where.cache
        )
        sets["training"] = replace(learnt, targets=targets)
    unlabelled = None
    if unlabelled_dir is not None:
        files = sorted(path for path in unlabelled_dir.rglob("*") if is_audio(path))
        windows = Windows(decoded(files), clip_samples)
        if not len(windows):
            raise InputError(
                str(unlabelled_dir), "no recording (WAV, FLAC or Ogg) there", "Name another folder by --unlabelled_dir."
            )
        unlabelled = Unlabelled(windows, teacher.of_unlabelled(teachers, windows, rate_hz, names, where.cache))
    return Data(
        sets,
        clips,
        background,
        optional("noise_frequency", where.noise, "--noise_dir", split="train"),
        speech,
        optional("reverberation_frequency", where.impulse, "--impulse_dir", split="train"),
        unlabelled,
        tuple(teachers) if teachers_hear_batches else (),
        spoken,
    )


def _other_voices(
    training: Sequence[Clip], names: Sequence[str], settings: Mapping[str, Any], cache_dir: Path
) -> list[Clip]:
    """Clips by ``synthesized_voices``, for words with fewer speakers than these are."""
    count = settings["synthesized_voices"]
    speakers: dict[int, set[str]] = {label: set() for label in range(len(names))}
    for clip in training:
        if clip.path:
            speakers[clip.label].add(speaker_of(clip.path))
    few = [names[label] for label in range(UNKNOWN_INDEX + 1, len(names)) if len(speakers[label]) < count]
    if not few:
        return []
    from kwsd_train import other_voices

    endings = Counter(clip.path.suffix.lower() for clip in training if clip.path and clip.label == UNKNOWN_INDEX)
    usual = endings.most_common(1)[0][0] if endings else ".wav"
    said = other_voices.make(
        few,
        names,
        count,
        cache_dir,
        rate_hz=settings["sample_rate"],
        clip_ms=settings["clip_duration_ms"],
        codec="opus" if usual in (".opus", ".ogg", ".oga") else "wav",
        seed=settings["seed"],
    )
    return [Clip(one.path, names.index(one.word) if one.word in names else UNKNOWN_INDEX) for one in said]


class Word(NamedTuple):
    """One example on its way: samples, the label's index (-1: none is known), the target row (labels,), and which word
    of `Data.spoken` it is.
    """

    signal: Signal
    label: int
    target: Rows
    spoken: int = NOT_NAMED


class Batch(NamedTuple):
    """Features (batch, frames, width), targets (batch, labels), rows of which add up to 1, and which word of
    `Data.spoken` each clip holds, (batch,).
    """

    rows: Rows
    targets: Rows
    spoken: NDArray[np.int32]


class Examples:
    """Makes batches. One in each worker process.

    Args:
        data: the recordings.
        settings: resolved flags: features, data, augmentation, and ``batch_size``.
        front: the ``frontend`` mapping of a model (with ``sample_rate_hz``) in place of the one that the flags ask for.
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
        self._rooms = [augment.Room(response) for response in data.responses or ()]
        self.frontend = frontend.create(front) if front else features.create(settings)
        described = front or {**options.frontend_params(settings), "sample_rate_hz": self.rate_hz}
        self._listeners = teacher.listeners(data.listeners, described, self.clip_samples, self.names)
        self._taught = teacher.known_to(self._listeners, self.names)
        self._taught[SILENCE_INDEX] = False

    def batch(self, step: int) -> Batch:
        """What one step learns from."""
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
            spoken[:] = NOT_NAMED  # each is two words now
        return Batch(batch, targets, spoken)

    def evaluation_set(self, name: str, start: int = 0, count: int | None = None) -> tuple[Rows, NDArray[np.int64]]:
        """Features (n, frames, width) and labels (n,) of a set as it is. Silence is background at a volume 0..1.

        Its silence is drawn from a generator seeded by the set and the entry, so that accuracies compare.
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
        """Front-end rows of clips (n, samples): (n, frames, width)."""
        if not len(signals):  # as where one person has recorded all there is
            return np.zeros((0, self.frontend.frames(self.clip_samples), self.frontend.width), np.float32)
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

        Where a word is said again, a network that pools over time takes the end of the first and the beginning of the
        second for a third one, unless it has learnt that this is none.
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
        """What a window says that holds these shares of two words; None where it is neither this nor that."""
        whole = [word for share, word in zip(kept, words_there, strict=True) if share >= FULL_SHARE]
        if whole and all(word.label == whole[0].label for word in whole):
            return whole[0]
        if whole or max(kept) > HALF_SHARE:
            return None
        return self._plain(SILENCE_INDEX if max(kept) <= GONE_SHARE else UNKNOWN_INDEX)

    def _plain(self, label: int, signal: Signal | None = None) -> Word:
        """A word whose target is its label alone."""
        target = np.zeros(self.labels, np.float32)
        target[label] = 1
        return Word(np.zeros(self.clip_samples, np.float32) if signal is None else signal, label, target)

    def _speech(self, draw: np.random.Generator) -> Word:
        """A window of running speech that holds none of the words."""
        assert self.data.speech is not None
        return self._plain(UNKNOWN_INDEX, self._paced(self._piece(self.data.speech, draw), draw))

    def _unlabelled(self, draw: np.random.Generator) -> Word:
        """A window that only teachers have named."""
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
                volume **= 3  # to be heard, it needs a quieter background
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
        """With somebody who talks below it; whoever is louder says what the window holds."""
        settings = self.settings
        if self.data.speech is None or draw.random() >= settings["voice_frequency"]:
            return signal
        voice = self._paced(self._piece(self.data.speech, draw), draw)
        return augment.mix_at_snr(signal, voice, float(draw.uniform(*settings["voice_snr_db"])))

    def _coloured(self, signal: Signal, draw: np.random.Generator) -> Signal:
        """In a room and through a microphone, perhaps one that passes no more than a telephone does."""
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
        """A clip's length of noise, of the background folder or, where it is in use, of the noise folder."""
        pools = [pool for pool in (self.data.background, self.data.noise) if pool is not None and len(pool)]
        return self._piece(pools[int(draw.integers(len(pools)))], draw)

    def _piece(self, pool: Recordings, draw: np.random.Generator) -> Signal:
        """A clip's length from anywhere in ``pool``, long recordings more often; a short one padded."""
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
