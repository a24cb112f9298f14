"""Audio files, decoded once into one file of int16 samples per folder, which many processes map.

Opus costs about a millisecond a clip to decode, a hundred times what reading the samples back does.
"""

import hashlib
import itertools
import logging
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kwsd.errors import InputError, OutputError

_MANY = 200
"""Number of recordings from which decoding is logged."""

_log = logging.getLogger("kwsd_train")

SUFFIXES = frozenset({".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3"})


def is_audio(path: Path) -> bool:
    """Whether the name's extension is WAV, FLAC, Ogg or MP3."""
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")


def decode(path: Path, rate_hz: int) -> NDArray[np.int16]:
    """The first channel of a WAV, FLAC, Ogg or MP3 file at ``rate_hz``, shape (n,). InputError if it cannot be read."""
    import soundfile

    if not path.is_file():  # a named pipe would wait for its writer
        raise InputError(str(path), "cannot be read: it is not a file", "Repair or remove it.")
    try:
        with soundfile.SoundFile(path) as file:
            file_rate_hz = file.samplerate
            if file.subtype in ("FLOAT", "DOUBLE"):  # which libsndfile would cast to integers without scaling
                loud = np.nan_to_num(file.read(dtype="float64", always_2d=True)) * 32768
                samples = np.clip(np.rint(loud), -32768, 32767).astype(np.int16)
            else:
                samples = file.read(dtype="int16", always_2d=True)
    except (soundfile.LibsndfileError, OSError, RuntimeError) as error:
        raise InputError(str(path), f"cannot be read: {error}", "Repair or remove it.") from error
    first: NDArray[np.int16] = samples[:, 0]
    if file_rate_hz == rate_hz or not len(first):
        return np.ascontiguousarray(first)
    import soxr

    return np.asarray(soxr.resample(np.ascontiguousarray(first), file_rate_hz, rate_hz))


class BadFilesError(InputError):
    """Recordings that cannot be read: all of them, so that they are not found one per run.

    Args:
        errors: why, by path.
    """

    def __init__(self, errors: Mapping[Path, InputError]) -> None:
        self.errors = errors
        first = next(iter(errors.values()))
        super().__init__(first.what, first.why, first.mend)

    @property
    def lines(self) -> Sequence[str]:
        return [str(error) for error in self.errors.values()]


class Recordings:
    """Decoded audio by number: ``recordings[i]`` is float32 in -1..1, shape (n,).

    Args:
        stems: paths of the parts of the cache without their endings ``.samples.npy`` (all samples, int16, shape
            (total,)) and ``.bounds.npy`` (int64, shape (count + 1,): recording i is samples[bounds[i]:bounds[i + 1]]).
        paths: the file of each recording. They are not pickled: workers do without.

    Attributes:
        bounds: of all parts, one after the other: int64, shape (count + 1,), from 0 to the number of all samples.
    """

    def __init__(self, stems: Sequence[str], paths: Sequence[Path] = ()) -> None:
        self.stems = tuple(stems)
        self.paths = paths
        parts = [np.load(f"{stem}.bounds.npy") for stem in stems]
        self._samples = [np.load(f"{stem}.samples.npy", mmap_mode="r") for stem in stems]
        self._firsts = np.cumsum([0, *(len(part) - 1 for part in parts)])
        self.bounds: NDArray[np.int64] = np.cumsum(np.concatenate([[0], *map(np.diff, parts)]), dtype=np.int64)

    def __reduce__(self) -> tuple[Any, ...]:
        return Recordings, (self.stems,)

    def __len__(self) -> int:
        return len(self.bounds) - 1

    def __getitem__(self, number: int) -> NDArray[np.float32]:
        return self.excerpt(number, 0, self.length(number))

    @property
    def name(self) -> str:
        """A key that identifies these recordings."""
        return hashlib.sha256("\n".join(Path(stem).name for stem in self.stems).encode()).hexdigest()[:20]

    def length(self, number: int) -> int:
        """Samples of one recording."""
        return int(self.bounds[number + 1] - self.bounds[number])

    def excerpt(self, number: int, start: int, count: int) -> NDArray[np.float32]:
        """``count`` samples from ``start`` on, as float32; fewer if the recording ends before."""
        part = int(np.searchsorted(self._firsts, number, "right")) - 1
        before = int(self.bounds[self._firsts[part]])
        begin = int(self.bounds[number]) - before + start
        end = min(begin + count, int(self.bounds[number + 1]) - before)
        return np.asarray(self._samples[part][begin:end], np.float32) / np.float32(32768)


class Windows:
    """Recordings of any length in pieces of one clip: ``windows[i]`` is float32 in -1..1, shape (clip_samples,).

    They begin half a clip apart, so that a word cut by one of them is complete in the next; the last of a recording, or
    the only one, is padded with zeros.
    """

    def __init__(self, recordings: Recordings, clip_samples: int) -> None:
        self.name = f"{recordings.name}.{clip_samples}"
        self._recordings = recordings
        self._clip_samples = clip_samples
        stride = clip_samples // 2
        lengths = np.diff(recordings.bounds).tolist()
        self._places = [
            (number, start)
            for number, length in enumerate(lengths)
            if length
            for start in range(0, max(length - stride, 1), stride)
        ]

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, number: int) -> NDArray[np.float32]:
        window = np.zeros(self._clip_samples, np.float32)
        samples = self._recordings.excerpt(*self._places[number], self._clip_samples)
        window[: len(samples)] = samples
        return window


def load(paths: Sequence[Path], rate_hz: int, cache_dir: Path) -> Recordings:
    """The recordings of ``paths`` in that order, decoded now or found in ``cache_dir``.

    Each run of paths in one folder has a part of the cache, so that a new take of a word leaves other words alone.
    BadFilesError lists all that cannot be read.
    """
    bad: dict[Path, InputError] = {}
    parts = [tuple(part) for _, part in itertools.groupby(paths, key=lambda path: path.parent)] or [()]
    stems = [_stem(part, rate_hz, cache_dir, bad) for part in parts]
    missing = [(part, stem) for part, stem in zip(parts, stems, strict=True) if not _bounds_file(stem).exists()]
    count = sum(len(part) for part, _ in missing)
    if count >= _MANY:
        _log.info("Decoding %d recordings, once: they stay in %s", count, cache_dir)
    for part, stem in missing:
        _decode_part([path for path in part if path not in bad], rate_hz, stem, bad)
    if bad:
        raise BadFilesError(bad)
    return Recordings([str(stem) for stem in stems], paths)


def _stem(paths: Sequence[Path], rate_hz: int, cache_dir: Path, bad: dict[Path, InputError]) -> Path:
    """The path of a part of the cache. Files that cannot be accessed are put into ``bad``.

    Its name is made from every file's path, size and time of change, so a changed file is read again.
    """
    key = hashlib.sha256(f"{rate_hz}\n".encode())
    for path in paths:
        try:
            stat = path.stat()
        except OSError as error:  # a dangling link
            bad[path] = InputError(str(path), f"cannot be read: {error.strerror}", "Repair or remove it.")
            continue
        key.update(f"{path.resolve()}\t{stat.st_size}\t{stat.st_mtime_ns}\n".encode())
    return cache_dir / key.hexdigest()[:20]


def _bounds_file(stem: Path) -> Path:
    return stem.with_name(stem.name + ".bounds.npy")


def _decode_part(paths: Sequence[Path], rate_hz: int, stem: Path, bad: dict[Path, InputError]) -> None:
    """Make a part of the cache, on all cores; if a file is ``bad``, only find further bad ones."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        answers = list(pool.map(lambda path: _decoded(path, rate_hz), paths))
    bad |= {path: answer for path, answer in answers if isinstance(answer, InputError)}
    if bad:
        return
    decoded = [answer for _, answer in answers if not isinstance(answer, InputError)]
    bounds = np.cumsum([0, *(len(samples) for samples in decoded)], dtype=np.int64)
    joined = np.concatenate(decoded) if decoded else np.zeros(0, np.int16)
    save_whole(stem.with_name(stem.name + ".samples.npy"), joined)
    save_whole(_bounds_file(stem), bounds)


def _decoded(path: Path, rate_hz: int) -> tuple[Path, NDArray[np.int16] | InputError]:
    try:
        return path, decode(path, rate_hz)
    except InputError as error:
        return path, error


def save_whole(path: Path, array: NDArray[Any]) -> None:
    """Write ``array`` as .npy under a temporary name, then rename, so that a partial file is never seen.

    Raises OutputError.
    """
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            np.save(file, array)
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise OutputError(
            str(path), f"cannot be written: {error.strerror or error}", "Make room or name another folder."
        ) from error
