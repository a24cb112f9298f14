"""The data of a run, found, checked and decoded before its first step."""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kwsd.errors import InputError
from kwsd_train.data import recordings
from kwsd_train.data.folders import (
    SETS,
    UNKNOWN_INDEX,
    Clip,
    background_files,
    build_index,
    labels_of,
    listed_files,
    speaker_of,
)
from kwsd_train.data.recordings import Recordings, Windows, is_audio
from kwsd_train.flags.options import Folders, words
from kwsd_train.training import teacher

Rows = NDArray[np.float32]

_log = logging.getLogger("kwsd_train")

NOT_NAMED = -1
"""Instead of the number of a spoken word: no word, a part of one, or an unlabelled one."""


@dataclass(frozen=True)
class Set:
    """The clips of one of the three sets.

    ``numbers`` in ``Data.clips`` (-1: digital silence) and ``labels``, shape (n,); ``targets`` (n, labels): the
    targets, rows with a 1 at the label, or changed by teachers; ``voices`` (n,): numbers of the speakers; ``spoken``
    (n,): indices in ``Data.spoken``, `NOT_NAMED` if unknown; ``made`` (n,): whether the voice is synthesized.
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
    """Windows of recordings without labels, and the teachers' targets for them (n, labels)."""

    windows: Windows
    targets: Rows


@dataclass(frozen=True)
class Data:
    """All recordings of a run, decoded. Small when pickled: the samples are mapped, not copied."""

    sets: Mapping[str, Set]
    clips: Recordings
    background: Recordings
    noise: Recordings | None
    speech: Recordings | None
    responses: Recordings | None
    unlabelled: Unlabelled | None = None
    listeners: Sequence[str] = ()
    """Teachers that score every batch."""
    spoken: Sequence[str] = ()
    """All words of the training clips, wanted or not, one per word folder."""


def load_data(
    settings: Mapping[str, Any],
    where: Folders,
    teachers: Sequence[str] = (),
    unlabelled_dir: Path | None = None,
    *,
    teachers_hear_batches: bool = False,
    only: Sequence[str] | None = None,
) -> Data:
    """Find, decode and check the data for ``settings``; run the ``teachers``. InputError names what is missing.

    Args:
        only: sets to test on, without training; the others stay empty.
        teachers_hear_batches: leave the training clips' targets unchanged; `Examples` runs the teachers.
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
    """Clips by ``synthesized_voices``, for words with fewer speakers than that."""
    count = settings["synthesized_voices"]
    speakers: dict[int, set[str]] = {label: set() for label in range(len(names))}
    for clip in training:
        if clip.path:
            speakers[clip.label].add(speaker_of(clip.path))
    few = [names[label] for label in range(UNKNOWN_INDEX + 1, len(names)) if len(speakers[label]) < count]
    if not few:
        return []
    from kwsd_train.data import other_voices

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
