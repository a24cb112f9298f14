"""``kwsd-train generate-streaming-test-wav``: a recording with words at known times, to test a listener with."""

import argparse
import io
import logging
import wave
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from kwsd.errors import InputError, UsageError
from kwsd.whole_file import write_whole
from kwsd_train.batches.augment import Signal
from kwsd_train.data import folders as data
from kwsd_train.data import recordings
from kwsd_train.data.folders import UNKNOWN, UNKNOWN_INDEX, Clip
from kwsd_train.evaluation import stream
from kwsd_train.flags import flag as flags
from kwsd_train.flags import options
from kwsd_train.flags import table as flag_table
from kwsd_train.training import progress

HELP = "make a long recording of clips over background noise, and a list of its words and times"
EXAMPLE = "kwsd-train generate-streaming-test-wav --preset clean --seed 7 --output_audio_file /tmp/clean.wav"

FOLDER = "/tmp/speech_commands_train"

PRESETS: dict[str, dict[str, Any]] = {
    "clean": {},
    "10dB": {"snr_db": 10.0},
    "repeats": {"group_words": 2, "same_word": True, "word_gap_ms": 2800, "unknown_percentage": 0},
}
"""The differences of a preset from the tutorial's defaults; flags override it."""

DEFAULTS = flags.defaults(flag_table.STREAM) | {"same_word": False}

BACKGROUNDS = ("tutorial", "noise", "speech")

_log = logging.getLogger("kwsd_train")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("output")
    add = group.add_argument
    path = f"{FOLDER}/streaming_test.wav"
    add(
        "--output_audio_file",
        type=Path,
        metavar="FILE",
        help=f"WAV file to write (default: {path})",
        default=Path(path),
    )
    path = f"{FOLDER}/streaming_test_labels.txt"
    add(
        "--output_labels_file",
        type=Path,
        metavar="FILE",
        default=Path(path),
        help=f"list of words to write, with rows `label, start of the clip in ms` (default: {path})",
    )
    group = parser.add_argument_group("stream")
    add = group.add_argument
    flags.add(group, flag_table.STREAM, filled=False)
    add("--same_word", action="store_true", default=None, help="repeat one word in each group")
    add("--reverberation", action="store_true", help="add the reverberation of a room from --impulse_dir to each group")
    add(
        "--background",
        metavar="KIND,..",
        default="tutorial",
        help="kinds of background: tutorial (_background_noise_ of the data), noise (--noise_dir), speech "
        "(--speech_dir); with several, each recording is equally likely (default: tutorial)",
    )
    add("--background_dir", type=Path, metavar="DIR", help="folder of recordings to use instead of _background_noise_")
    group = parser.add_argument_group("clips")
    shared = ("wanted_words", "validation_percentage", "testing_percentage", "silence_percentage", "seed")
    flags.add(group, flag_table.CLIP_SET)
    flags.add(group, (flag for flag in flag_table.TRAIN if flag.name in shared))
    options.add_folders(parser)
    for name in ("data_url", "background_frequency", "window_size_ms", "window_stride_ms", "feature_bin_count"):
        parser.add_argument(f"--{name}", help=argparse.SUPPRESS)  # the tutorial's, which never changed anything


def run(args: argparse.Namespace) -> int:
    progress.log_plainly()
    values = DEFAULTS | PRESETS.get(args.preset, {}) | options.given(args, DEFAULTS)
    settings = stream_settings(values)
    words = data.parse_words(args.wanted_words)
    track, said = stream.make(settings, len(words), material(args, settings, words), args.seed)
    labels = data.labels_of(words)
    write_whole(args.output_audio_file, encode_wav(track, settings.rate_hz))
    _log.info("Saved streaming test wav to %s", args.output_audio_file)
    lines = (f"{labels[word.label]}, {word.start * 1000 / settings.rate_hz:f}\n" for word in said)
    write_whole(args.output_labels_file, "".join(lines))
    _log.info("Saved streaming test labels to %s", args.output_labels_file)
    return 0


def stream_settings(values: dict[str, Any]) -> stream.Settings:
    """The settings from the flags."""
    return stream.Settings(
        rate_hz=values["sample_rate"],
        duration_s=values["test_duration_seconds"],
        clip_ms=values["clip_duration_ms"],
        **{
            name: values[name]
            for name in (
                "word_gap_ms",
                "unknown_percentage",
                "background_volume",
                "group_words",
                "group_stride_ms",
                "same_word",
                "snr_db",
            )
        },
    )


def material(args: argparse.Namespace, settings: stream.Settings, words: tuple[str, ...]) -> stream.Material:
    """Clips, backgrounds and rooms of the set. Raises InputError for what is missing."""
    where = options.folders(args)
    index = data.build_index(
        where.data,
        words,
        silence_percentage=args.silence_percentage,
        validation_percentage=args.validation_percentage,
        testing_percentage=args.testing_percentage,
        to_train=False,
    )[args.set]
    there = Counter(clip.label for clip in index)
    for number, word in enumerate((UNKNOWN, *words), UNKNOWN_INDEX):
        if not there[number] and (word != UNKNOWN or settings.unknown_percentage):
            what = "other words, as --unknown_percentage wants them" if word == UNKNOWN else f"the word {word}"
            raise InputError(str(where.data), f"no clip of {what} falls into the {args.set} set")

    def load(clip: Clip) -> Signal:
        return _decode(clip.path, settings.rate_hz) if clip.path else np.zeros(0, np.float32)

    clip_samples = settings.samples(settings.clip_ms)
    background = []
    for path in _background(args, where):
        recording = _decode(path, settings.rate_hz)
        if len(recording) <= clip_samples:
            raise InputError(
                str(path),
                f"Background sample is too short! Need more than {clip_samples} samples "
                f"but only {len(recording)} were found",
            )
        background.append(recording)
    responses = []
    if args.reverberation:
        rooms = data.listed_files(where.impulse, "--impulse_dir", split=_split(args.set))
        responses = [_decode(path, settings.rate_hz) for path in rooms]
    return stream.Material(index, load, background, responses)


def _background(args: argparse.Namespace, where: options.Folders) -> list[Path]:
    files: list[Path] = []
    for kind in args.background.split(","):
        if kind == "tutorial" and args.background_dir:
            files += data.listed_files(args.background_dir, "--background_dir", split=_split(args.set))
        elif kind == "tutorial":
            found = data.background_files(where.data)
            if not found:
                folder = where.data / data.BACKGROUND_FOLDER
                raise InputError(str(folder), "no such folder with background", "Name one by --background_dir.")
            files += found
        elif kind == "noise":
            files += data.listed_files(where.noise, "--noise_dir", split=_split(args.set))
        elif kind == "speech":
            folder = args.speech_dir or data.data_root() / "running_speech" / _split(args.set)
            files += data.listed_files(folder, "--speech_dir")
        else:
            raise UsageError("--background", f"{kind!r} is not one of {', '.join(BACKGROUNDS)}")
    return files


def _split(name: str) -> str:
    """The split of noise, rooms and running speech for a set of clips: they have no testing part."""
    return "train" if name == "training" else "validation"


def _decode(path: Path, rate_hz: int) -> Signal:
    return recordings.decode(path, rate_hz).astype(np.float32) / np.float32(32768)


def encode_wav(track: Signal, rate_hz: int) -> bytes:
    """A 16-bit WAV file as TensorFlow encodes it: x * 32768, halves away from zero, clamped; a header of 44 bytes."""
    scaled = track.astype(np.float64) * 32768
    rounded = np.copysign(np.floor(np.abs(scaled) + 0.5), scaled)
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate_hz)
        file.writeframes(np.clip(rounded, -32768, 32767).astype("<i2").tobytes())
    return buffer.getvalue()
