"""Where takes come from: a folder of recordings, a microphone, a speech synthesiser."""

import itertools
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np

from kwsd.audio import takes
from kwsd.audio.clip import read_beginning
from kwsd.audio.signal import Signal, word_extent
from kwsd.errors import InputError, UnavailableError
from kwsd.learn import speech_engines

LONGEST_CLIPS = 4
"""Longest recording of a take, in clips."""

VOICES = 20
"""Number of takes by a synthesiser, each by a different voice."""

TEMPOS, PITCHES = (0.85, 1.0, 1.15), (0.9, 1.0, 1.1)
ENGINES = ("espeak-ng", "flite")
SPOKEN_BELOW_PEAK_DB = 40.0
SPOKEN_PEAK = 0.3


def from_files(
    paths: Iterable[Path], rate_hz: int, clip_samples: int, refuse: Callable[[str], None]
) -> list[tuple[Path, Signal]]:
    """Recordings of one take each, the loudest clip of each.

    Args:
        refuse: called with one line for each unusable recording and the reason.
    """
    found = []
    for path in paths:
        try:
            signal = whole(path, rate_hz, clip_samples)
        except InputError as error:
            refuse(str(error))
            continue
        if (why := takes.fault(signal, clip_samples)) is not None:
            refuse(f"{path}: {why}")
        else:
            found.append((path, takes.loudest(signal, clip_samples)))
    return found


def whole(path: Path, rate_hz: int, clip_samples: int) -> Signal:
    """A recording of at most a few clips' length, (n,). InputError if it is longer or cannot be read."""
    signal, is_longer = read_beginning(str(path), rate_hz, LONGEST_CLIPS * clip_samples)
    if is_longer:
        seconds = LONGEST_CLIPS * clip_samples / rate_hz
        raise InputError(str(path), f"longer than {seconds:g} s, and a take is one word", "Cut it at its pauses.")
    end = np.flatnonzero(signal)
    return signal[: max(int(end[-1]) + 1, 1)] if len(end) else signal


def recordings_in(folder: Path) -> list[Path]:
    """The files of a folder by name, without hidden ones. InputError if there are none."""
    try:
        paths = sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    except OSError as error:
        raise InputError(
            str(folder), f"cannot be read: {error.strerror or error}", "Name a folder of takes."
        ) from error
    if not paths:
        raise InputError(str(folder), "has no recordings in it", "Name a folder with one WAV, FLAC or Ogg file a take.")
    return paths


def synthesized(text: str, count: int, rate_hz: int, clip_samples: int) -> list[Signal]:
    """``text`` spoken by as many voices as there are takes, alternating between the installed engines.

    UnavailableError if no synthesiser is installed or works; InputError if the word is longer than a clip.
    """
    engines = [engine for engine in speech_engines.installed() if engine in ENGINES]
    if not engines:
        packages = " ".join(speech_engines.PACKAGES[engine] for engine in ENGINES)
        raise UnavailableError("speech synthesiser", "none is installed", f"sudo apt-get install {packages}")
    draw = np.random.default_rng(1)
    spoken = []
    for number, voice in enumerate(itertools.islice(_voices(engines, draw), count)):
        samples, from_hz = speech_engines.speak(voice, text, TEMPOS[number % 3])
        spoken.append(_clip(samples, from_hz * PITCHES[number // 3 % 3], rate_hz, clip_samples, text))
    if not spoken:
        raise UnavailableError("speech synthesiser", f"no voice of {', '.join(engines)} speaks")
    return spoken


def _voices(engines: Iterable[str], draw: np.random.Generator) -> Iterator[speech_engines.Voice]:
    """The voices that work, alternating between engines, in an order that is the same each time."""
    shuffled = []
    for engine in engines:
        voices = speech_engines.voices(engine)
        shuffled.append([voices[place] for place in draw.permutation(len(voices))])
    turns = itertools.zip_longest(*shuffled)
    return speech_engines.usable([voice for turn in turns for voice in turn if voice is not None], strict=False)


def _clip(samples: Signal, from_hz: float, rate_hz: int, clip_samples: int, text: str) -> Signal:
    import soxr

    played: Signal = soxr.resample(samples, from_hz, rate_hz)
    begin, end = word_extent(played, SPOKEN_BELOW_PEAK_DB)
    if end - begin > clip_samples:
        raise InputError(repr(text), f"takes longer than {clip_samples / rate_hz:g} s to say", "Choose a shorter word.")
    word = played[begin:end]
    clip = np.zeros(clip_samples, np.float32)
    start = (clip_samples - len(word)) // 2
    clip[start : start + len(word)] = word * np.float32(SPOKEN_PEAK / max(float(np.abs(word).max(initial=0)), 1e-6))
    return clip
