"""Cuts out what was found, into a folder of words to listen to, to sort, and to train with."""

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kwsd.errors import OutputError
from kwsd.scan.inputs import Recording
from kwsd.scan.results import whole
from kwsd.scan.words import Word
from kwsd.whole_file import folder_name

NAME_BYTES = 80  # the share of a recording's words
WORDS_AT_ONCE = 200  # cut by one job: 6 MB of samples


def spans(words: Sequence[Word]) -> Iterator[tuple[Word, ...]]:
    """The words in order of time, grouped into jobs."""
    ordered = sorted(words, key=lambda word: word.start_ms)
    for first in range(0, len(ordered), WORDS_AT_ONCE):
        yield tuple(ordered[first : first + WORDS_AT_ONCE])


def path(folder: Path, recording: Recording, word: Word) -> Path:
    """The path of a word: ``stop/NAME-5f2c9a1e_nohash_52340.flac``.

    `kwsd-train` takes the part before ``_nohash_`` for the speaker, so clips of one recording stay in one set.
    """
    stem = recording.address.rstrip("/").rpartition("/")[2].rpartition(".")[0] or "recording"
    safe = "".join(each if each.isalnum() or each in "-_." else "_" for each in stem).replace("_nohash_", "-")
    short = safe.encode()[:NAME_BYTES].decode(errors="ignore")
    digest = hashlib.sha256(recording.address.encode()).hexdigest()[:8]
    return folder / folder_name(word.label) / f"{short}-{digest}_nohash_{word.end_ms}.flac"


def write(file: Path, samples: NDArray[np.int16], rate_hz: int) -> None:
    """A FLAC file, whole or not at all. Raises OutputError."""
    import soundfile

    try:
        with whole(file) as part:
            soundfile.write(part, samples, rate_hz, format="FLAC", subtype="PCM_16")
    except soundfile.LibsndfileError as error:
        raise OutputError(str(file), str(error.error_string)) from error
