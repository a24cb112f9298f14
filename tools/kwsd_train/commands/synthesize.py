"""``kwsd-train synthesize``: words, or lines of text, spoken by text to speech, as recordings to train on."""

import argparse
import itertools
import os
import re
import sys
import zlib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np

from kwsd.errors import InputError, UnavailableError, UsageError, reason
from kwsd.learn import speech_engines
from kwsd.learn.speech_engines import PACKAGES, Voice
from kwsd_train.batches import augment
from kwsd_train.batches.augment import Signal
from kwsd_train.data import own_clips
from kwsd_train.data.folders import data_root
from kwsd_train.flags import flag as flags
from kwsd_train.flags import table as flag_table

HELP = "make clips of words, or running speech, by text to speech (espeak-ng, flite, festival)"
EXAMPLE = "kwsd-train synthesize --words lumos,nox=nocks --count 100 --codec opus"

_LEVEL_DBFS = (-34.0, -14.0)
_HISS_DBFS = (-75.0, -55.0)
_PEAK = 0.98
_SILENCE_DB = 40.0
"""Anything this far below the loudest frame, at either end, is not part of the word."""


class Task(NamedTuple):
    """A recording to make."""

    path: Path
    clip_ms: int | None
    text: str
    voice: Voice
    key: Sequence[int]
    """The seed of its random numbers."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    either = parser.add_mutually_exclusive_group(required=True)
    either.add_argument("--words", metavar="W[=TEXT],...", help="words, each with the text to speak if it differs")
    either.add_argument(
        "--text",
        type=Path,
        metavar="FILE",
        help="instead, speak each line of this file once, as recordings for --speech_dir",
    )
    add(
        "--voices",
        metavar="V,...",
        help="engines, or ENGINE:VOICE such as flite:slt, espeak-ng:en-us+f3, espeak-ng:de (default: all English)",
    )
    add(
        "--output_dir",
        type=Path,
        metavar="DIR",
        help="folder to fill (default for --words: $KWSD_DATA/speech_commands)",
    )
    flags.add(parser, flag_table.SYNTHESIZE)


def run(args: argparse.Namespace) -> int:
    if args.text and not args.output_dir:
        raise UsageError("--output_dir", "is required with --text", "Only words have a folder of their own.")
    folder = args.output_dir or data_root() / "speech_commands"
    chosen = choose(args.voices, args.count, args.seed)
    if args.text:
        all_tasks = list(_line_tasks(folder, _lines(args.text), chosen, args))
    else:
        all_tasks = list(_word_tasks(folder, _words(args.words), chosen, args))
    tasks = [task for task in all_tasks if not task.path.exists()]

    def make(task: Task) -> None:
        draw = np.random.default_rng(task.key)
        signal = utter(task.voice, task.text, args.sample_rate, task.clip_ms, args.speed, args.pitch, draw)
        own_clips.write(task.path, signal, args.sample_rate)

    with ThreadPoolExecutor(args.jobs or os.cpu_count()) as pool:
        made = pool.map(make, tasks)
        try:
            for number, _ in enumerate(made, 1):
                if sys.stderr.isatty():
                    print(f"\r{number} of {len(tasks)}", end="\n" if number == len(tasks) else "", file=sys.stderr)
        finally:
            pool.shutdown(cancel_futures=True)
    kind, there = "recordings" if args.text else "clips", len(all_tasks) - len(tasks)
    print(f"{len(tasks)} {kind} of {len(chosen)} voices made, {there} were there, in {folder}")
    return 0


def choose(wanted: str | None, count: int, seed: int) -> list[Voice]:
    """Up to ``count`` working voices: those of ``--voices``, else alternating between all engines.

    Raises:
        UnavailableError: no engine is installed, or a requested one is not.
        NoVoiceError: a voice requested by name does not work, or is really another one.
        UsageError: an engine has an unknown name.
    """
    here = speech_engines.installed()
    parts = [part.strip() for part in wanted.split(",")] if wanted else here
    named = [Voice(*part.split(":", 1)) for part in parts if ":" in part]
    engines = [part for part in parts if ":" not in part]
    for engine in (*engines, *(voice.engine for voice in named)):
        if engine not in PACKAGES:
            raise UsageError("--voices", f"no engine {engine!r}", f"They are {', '.join(PACKAGES)}.")
        if engine not in here:
            raise UnavailableError(engine, "not installed", f"sudo apt-get install {PACKAGES[engine]}")
    if not parts:
        packages = " ".join(PACKAGES.values())
        raise UnavailableError("text to speech", "no engine is installed", f"sudo apt-get install {packages}")
    for voice in named:
        if not re.fullmatch(r"[\w+./-]+", voice.name):
            raise UsageError("--voices", f"{voice.name!r} is not the name of a voice")
    chosen = list(speech_engines.usable(named, strict=True))
    draw = np.random.default_rng(seed)
    shuffled = []
    for engine in engines:
        voices = speech_engines.voices(engine)
        shuffled.append([voices[place] for place in draw.permutation(len(voices))])
    turns = itertools.zip_longest(*shuffled)  # an engine with few voices has all of them among the first
    others = [voice for turn in turns for voice in turn if voice is not None and voice not in chosen]
    chosen += itertools.islice(speech_engines.usable(others, strict=False), max(0, count - len(chosen)))
    if not chosen:
        raise UnavailableError("text to speech", f"no voice of {', '.join(engines)} speaks")
    return chosen


def utter(
    voice: Voice,
    text: str,
    rate_hz: int,
    clip_ms: int | None,
    speed: Sequence[float],
    pitch: Sequence[float],
    draw: np.random.Generator,
) -> Signal:
    """A clip of ``text``: speed, pitch, place in the clip and level drawn, faint noise below, (samples,) in -1..1.

    Pitch is changed by playing slower speech faster, which makes the voice sound like another speaker. A word that is
    longer than the clip is spoken faster. InputError if that does not help.

    Args:
        clip_ms: length of the clip; None for any length.
    """
    import soxr

    count = None if clip_ms is None else rate_hz * clip_ms // 1000
    higher, tempo = draw.uniform(pitch[0], pitch[1]), draw.uniform(speed[0], speed[1])
    for _ in range(3):
        samples, from_hz = speech_engines.speak(voice, text, tempo / higher)
        played: Signal = soxr.resample(samples, from_hz * higher, rate_hz)
        begin, end = augment.word_extent(played, _SILENCE_DB)
        word = played[begin:end]
        if count is None or len(word) <= count:
            break
        tempo *= 1.1 * len(word) / count
    else:
        raise InputError(
            repr(text), f"{voice} takes longer than {clip_ms} ms", "Choose a shorter word or longer clips."
        )
    power = augment.word_power(word)
    if power == 0:
        raise InputError(repr(text), f"{voice} is silent", "Give another spelling.")
    level = 10 ** (draw.uniform(*_LEVEL_DBFS) / 20) / np.sqrt(power)
    level = min(level, _PEAK / float(np.abs(word).max()))
    count = count or len(word)
    # microphones never give digital silence, and a model would learn it
    signal = draw.normal(0, 10 ** (draw.uniform(*_HISS_DBFS) / 20), count).astype(np.float32)
    start = int(draw.integers(count - len(word) + 1))
    signal[start : start + len(word)] += np.float32(level) * word
    return signal


def _words(text: str) -> dict[str, str]:
    """Words, and the text to speak for each. Raises UsageError."""
    spoken = dict(part.partition("=")[::2] for part in text.split(","))
    words = own_clips.words("--words", ",".join(spoken))
    return {word: said or word for word, said in zip(words, spoken.values(), strict=True)}


def _lines(path: Path) -> list[str]:
    """The lines of the file, without empty ones. Raises InputError."""
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(str(path), f"cannot be read: {reason(error)}", "Name a text in UTF-8 by --text.") from error
    if not any(lines):
        raise InputError(str(path), "contains no text", "Write one utterance per line.")
    return [line for line in lines if line]


def _word_tasks(
    folder: Path, words: Mapping[str, str], voices: Sequence[Voice], args: argparse.Namespace
) -> Iterator[Task]:
    """``--count`` clips of each word, by all voices in turn."""
    for word, text in words.items():
        for number in range(args.count):
            take, place = divmod(number, len(voices))
            voice = voices[place]
            path = own_clips.path_of(folder, word, voice.speaker, take, args.codec)
            key = (args.seed, zlib.crc32(f"{word}/{path.stem}/{text}".encode()))
            yield Task(path, args.clip_duration_ms, text, voice, key)


def _line_tasks(
    folder: Path, lines: Sequence[str], voices: Sequence[Voice], args: argparse.Namespace
) -> Iterator[Task]:
    """Each line once, by all voices in turn."""
    for number, line in enumerate(lines):
        voice = voices[number % len(voices)]
        path = own_clips.path_of(folder, "", voice.speaker, zlib.crc32(line.encode()), args.codec)
        yield Task(path, None, line, voice, (args.seed, zlib.crc32(f"{path.stem}/{line}".encode())))
