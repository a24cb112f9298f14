"""The user's own clips: WORD/SPEAKER_nohash_N.wav in the data folder, named like those of the data set."""

import io
import re
from pathlib import Path
from typing import Any

import numpy as np

from kwsd.errors import OutputError, UsageError
from kwsd.whole_file import write_whole
from kwsd_train.batches.augment import Signal
from kwsd_train.data.folders import parse_words

CODECS = {"wav": ".wav", "opus": ".opus"}
_WORD = re.compile(r"[^\W_][\w' -]*")
_OPUS_LEVEL = 0.928  # libsndfile's value for 24 kb/s, as in many copies of the data set


def words(flag: str, text: str) -> tuple[str, ...]:
    """Words of a comma list, valid as folder names: letters and digits, in lower case. UsageError names the flag."""
    found = tuple(word.lower() for word in parse_words(text, flag))
    for word in found:
        if not _WORD.fullmatch(word):
            raise UsageError(flag, f"{word!r} is not a word", "Give letters and digits, words divided by commas.")
    return found


def speaker(flag: str, name: str) -> str:
    """A name that is valid before ``_nohash_`` in a file's name, else UsageError."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.-]*", name):
        raise UsageError(flag, f"{name!r} is not a name for a speaker", "Give letters, digits, dots and hyphens.")
    return name


def numbers(folder: Path, speaker: str) -> list[int]:
    """The numbers N of this speaker's existing clips, in any codec."""
    pattern = re.compile(re.escape(speaker) + r"_nohash_(\d+)\.(?:wav|flac|ogg|opus|mp3)")
    names = (path.name for path in folder.glob(f"{speaker}_nohash_*"))
    return sorted(int(match[1]) for match in map(pattern.fullmatch, names) if match)


def path_of(data_dir: Path, word: str, speaker: str, number: int, codec: str) -> Path:
    """The path of a clip."""
    return data_dir / word / f"{speaker}_nohash_{number}{CODECS[codec]}"


def write(path: Path, signal: Signal, rate_hz: int) -> None:
    """Write samples (n,) in -1..1 as 16-bit WAV or, by extension, Opus; creates the folder. Raises OutputError."""
    import soundfile

    file = io.BytesIO()
    samples = np.round(np.clip(signal, -1, 1) * 32767).astype(np.int16)
    if path.suffix == ".opus":
        options: dict[str, Any] = {"format": "OGG", "subtype": "OPUS", "compression_level": _OPUS_LEVEL}
    else:
        options = {"format": "WAV", "subtype": "PCM_16"}
    soundfile.write(file, samples, rate_hz, **options)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            str(path.parent), f"cannot be made: {error.strerror}", "Name another --output_dir."
        ) from error
    write_whole(path, file.getvalue())
