"""The work on a recording that runs in a process on this machine, or in a worker of a cluster.

Arguments and results are small and can be pickled. Errors of a recording are not raised but returned as a `Failure`,
so that pools need not know kwsd's errors.
"""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar

import numpy as np
from numpy.typing import NDArray

from kwsd.audio.file import tail
from kwsd.errors import InputError, KwsdError
from kwsd.model import load
from kwsd.recognize.settings import CompleteRecognizeSettings
from kwsd.scan import recording, storage
from kwsd.scan.chunks import Samples
from kwsd.scan.recording import Version
from kwsd.scan.score import Scorer
from kwsd.scan.words import Recognition, Word


@dataclass(frozen=True)
class Hearing:
    """How recordings are processed.

    Attributes:
        model: a bundled model's name or a file, which workers of a cluster must be able to read; two with a ``+``.
        labels, frontend: for a model without metadata.
        sha256: the model's `kwsd.model.Model.fingerprint`.
        settings: the recogniser's.
        only: the wanted words.
        channel: the channel of a recording to use, counted from 0.
        gain_db: amplification.
        clips_at_once: clips of a chunk.
    """

    model: str
    labels: str | None
    frontend: str | None
    sha256: str
    settings: CompleteRecognizeSettings
    only: frozenset[str]
    channel: int = 0
    gain_db: float = 0.0
    clips_at_once: int = 1500


@dataclass(frozen=True)
class Failure:
    """Why a recording cannot be processed: ``FILE: WHY. MEND``."""

    message: str


@dataclass(frozen=True)
class Heard:
    """All of a recording."""

    samples: int
    words: tuple[Word, ...]


@dataclass(frozen=True)
class Long:
    """A recording that is worth cutting into chunks, and its number of samples."""

    samples: int
    version: Version


class Shorter:
    """A recording is shorter than it claims, and must be read from its beginning."""


Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


def _told(
    function: Callable[Concatenate[Hearing, str, Arguments], Result],
) -> Callable[Concatenate[Hearing, str, Arguments], Result | Failure]:
    """Turns errors of a recording into a Failure; also unforeseen ones, which must not end a long scan."""

    @wraps(function)
    def guarded(
        hearing: Hearing, address: str, /, *args: Arguments.args, **kwargs: Arguments.kwargs
    ) -> Result | Failure:
        try:
            return function(hearing, address, *args, **kwargs)
        except KwsdError as error:
            return Failure(str(error))
        except Exception as error:
            return Failure(str(KwsdError(address, f"{type(error).__name__}: {error}")))

    return guarded


@_told
def begin(hearing: Hearing, address: str, whole: bool) -> Heard | Long:
    """Processes a recording; one that is worth cutting is only measured, unless ``whole``."""
    scorer = _scorer(hearing)
    with storage.local(address) as path:
        before = recording.version(path, address)
        frames = recording.exact_frames(path, address, scorer.model.sample_rate_hz)
        may_be_cut = not whole and storage.is_local(address)
        if frames is not None and may_be_cut and scorer.grid.clips(frames) > hearing.clips_at_once:
            return Long(frames, before)
        heard = _hear(hearing, scorer, path, address)
        recording.check_unchanged(path, address, before)
        return heard


@_told
def score(hearing: Hearing, address: str, long: Long, first: int, clips: int) -> NDArray[np.float32] | Shorter:
    """The scores of this many clips of a long recording, from the clip ``first`` on."""
    scorer = _scorer(hearing)
    grid, model = scorer.grid, scorer.model
    recording.check_unchanged(address, address, long.version)
    start, needed = grid.start(first), grid.span(clips)
    there = min(needed, long.samples - start)
    how = model.sample_rate_hz, hearing.channel, hearing.gain_db
    try:
        blocks = list(recording.read_span(address, address, *how, start, there)) if there > 0 else []
    except InputError:
        return Shorter()  # reading it from its beginning will show where it is damaged
    recording.check_unchanged(address, address, long.version)
    if sum(map(len, blocks)) < there:
        return Shorter()
    faint = tail(model.clip_samples)[max(0, -there) :]
    return scorer.scores(np.concatenate((*blocks, faint))[:needed])


@_told
def cut(hearing: Hearing, address: str, spans: tuple[tuple[int, int], ...]) -> list[NDArray[np.int16]]:
    """Samples of these spans, in ms and in order of their starts, at the model's rate."""
    rate_hz = _scorer(hearing).model.sample_rate_hz
    wanted = [(start_ms * rate_hz // 1000, end_ms * rate_hz // 1000) for start_ms, end_ms in spans]
    how, first = (rate_hz, hearing.channel, hearing.gain_db), wanted[0][0]
    with storage.local(address) as path:
        if recording.exact_frames(path, address, rate_hz) is not None:
            count = max(end for _, end in wanted) - first
            pieces = _pieces(recording.read_span(path, address, *how, first, count), wanted, first)
        else:
            pieces = _pieces(recording.read_all(path, address, *how), wanted, 0)
    return [np.clip(np.rint(each * 32768), -32768, 32767).astype(np.int16) for each in pieces]


def _pieces(blocks: Iterator[Samples], spans: list[tuple[int, int]], position: int) -> list[Samples]:
    """The samples in these spans, in order of their starts; the first of the blocks begins at ``position``."""
    pieces: list[list[Samples]] = [[] for _ in spans]
    first, last = 0, max(end for _, end in spans)
    for block in blocks:
        while first < len(spans) and spans[first][1] <= position:
            first += 1
        for index in range(first, len(spans)):
            start, end = spans[index]
            if start >= position + len(block):
                break
            pieces[index].append(block[max(0, start - position) : max(0, end - position)])
        position += len(block)
        if position >= last:
            break
    return [np.concatenate((np.zeros(0, np.float32), *piece)) for piece in pieces]


def recognition(hearing: Hearing, scorer: Scorer) -> Recognition:
    """The recogniser for a recording processed this way."""
    model = scorer.model
    return Recognition(model.labels, hearing.settings, hearing.only, scorer.grid, model.sample_rate_hz, model.clip_ms)


def _hear(hearing: Hearing, scorer: Scorer, path: str, name: str) -> Heard:
    model, samples = scorer.model, 0

    def counted(blocks: Iterator[Samples]) -> Iterator[Samples]:
        nonlocal samples
        for block in blocks:
            samples += len(block)
            yield block

    blocks = recording.read_all(path, name, model.sample_rate_hz, hearing.channel, hearing.gain_db)
    found = recognition(hearing, scorer)
    for chunk in scorer.grid.chunks(counted(blocks), tail(model.clip_samples), hearing.clips_at_once):
        found.process(scorer.scores(chunk))
    return Heard(samples, found.words(samples))


_own = threading.local()


def _scorer(hearing: Hearing) -> Scorer:
    """This thread's own scorer: a worker of a cluster may have several threads, and a model serves one at a time."""
    key = hearing.model, hearing.sha256, hearing.settings.clip_stride_ms
    if getattr(_own, "key", None) != key:
        model = load(hearing.model, labels=hearing.labels, frontend=hearing.frontend)
        if model.fingerprint != hearing.sha256:
            raise InputError(hearing.model, "the model here is not the one that the scan was started with")
        _own.key, _own.scorer = key, Scorer(model, hearing.settings.clip_stride_ms)
    scorer: Scorer = _own.scorer
    return scorer
