"""The scan itself: recordings in, the results of each out, in the same order, regardless of the pool."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kwsd.scan import work
from kwsd.scan.clips import spans
from kwsd.scan.inputs import Recording
from kwsd.scan.pool import Job, Lost, Pool
from kwsd.scan.score import Scorer
from kwsd.scan.words import Recognition, Word

WAIT_S = 1.0
AHEAD = 4
"""How many chunks of a recording may wait for an earlier one, in multiples of the pool's capacity."""
WAITING_MAX = 100_000
"""How many recordings may wait for an earlier one that takes longer; only their words are kept."""


@dataclass
class Outcome:
    """The outcome of a recording.

    Attributes:
        duration_ms: of the audio processed.
        words: in order of time.
        failure: why it could not be processed; None if it was.
    """

    recording: Recording
    duration_ms: int = 0
    words: tuple[Word, ...] = ()
    failure: str | None = None


@dataclass
class _Long:
    """A recording that is processed in chunks: those not assigned yet, those that came before their turn."""

    found: Recognition
    long: work.Long
    clips: int
    next_clip: int = 0
    waiting: dict[int, Any] = field(default_factory=dict)


@dataclass(eq=False)
class _Open:
    """A recording in progress."""

    recording: Recording
    long: _Long | None = None
    cutting: int = 0
    heard: Outcome | None = None
    outcome: Outcome | None = None

    @property
    def has_chunks(self) -> bool:
        """Whether there are chunks to assign."""
        return self.long is not None and self.outcome is None and self.long.next_clip < self.long.clips


class Scan:
    """Processes recordings with a pool.

    Args:
        hearing: how to process them.
        scorer: of the same model, for the positions of the clips.
        pool: does the work.
        progressed: called with milliseconds processed, and bytes read if known.
        keep: called with each word's samples, int16 at the model's rate; None if nothing is cut out.
    """

    def __init__(
        self,
        hearing: work.Hearing,
        scorer: Scorer,
        pool: Pool,
        progressed: Callable[[float, float], None] = lambda duration_ms, size: None,
        keep: Callable[[Recording, Word, NDArray[np.int16]], None] | None = None,
    ) -> None:
        self._hearing, self._scorer, self._pool = hearing, scorer, pool
        self._progressed, self._keep = progressed, keep
        self._open: deque[_Open] = deque()
        self._long: list[_Open] = []  # those with chunks to assign
        self._jobs: dict[Job, tuple[_Open, Any]] = {}

    def run(self, recordings: Iterable[Recording]) -> Iterator[Outcome]:
        """One outcome for each recording, in their order."""
        left = deque(recordings)
        while left or self._open:
            self._hand_out(left)
            done = self._pool.next(WAIT_S) if self._jobs else None
            if done is not None:
                self._take(*done)
            while self._open and (outcome := self._open[0].outcome) is not None:
                self._open.popleft()
                yield outcome

    def _hand_out(self, left: deque[Recording]) -> None:
        """Keeps all workers busy."""
        capacity = self._pool.capacity
        for each in self._long:
            while len(self._jobs) < capacity and self._submit_chunk(each, AHEAD * capacity):
                pass
        self._long = [each for each in self._long if each.has_chunks]
        while left and len(self._jobs) < capacity and len(self._open) < WAITING_MAX:
            # With this many recordings left no worker will be idle, and one that is not cut costs this process nothing.
            whole = len(left) > AHEAD * capacity
            each = _Open(left.popleft())
            self._open.append(each)
            self._submit(each, None, work.begin, whole)

    def _submit(self, each: _Open, which: Any, function: Callable[..., Any], *arguments: Any) -> None:
        job = Job(each.recording.address, function, (self._hearing, each.recording.address, *arguments))
        self._jobs[job] = each, which
        self._pool.submit(job)

    def _submit_chunk(self, each: _Open, ahead: int) -> bool:
        """Assigns a chunk of a long recording; returns whether there was one."""
        long = each.long
        if long is None or not each.has_chunks or len(long.waiting) > ahead:
            return False
        first, count = long.next_clip, min(self._hearing.clips_at_once, long.clips - long.next_clip)
        long.next_clip += count
        self._submit(each, first, work.score, long.long, first, count)
        return True

    def _take(self, job: Job, result: Any) -> None:
        each, which = self._jobs.pop(job)
        if each.outcome is not None:
            return
        match result:
            case Lost():
                self._fail(each, f"{job.address}: each process that reads it is killed (out of memory?). Leave it out.")
            case work.Failure(message):
                self._fail(each, message)
            case work.Heard(samples, words):
                self._progressed(self._to_ms(samples), each.recording.bytes or 0)
                self._finish(each, samples, words)
            case work.Long(samples):
                found = work.recognition(self._hearing, self._scorer)
                each.long = _Long(found, result, self._scorer.grid.clips(samples))
                self._long.append(each)
            case work.Shorter():
                if each.long is not None:
                    each.long = None
                    self._submit(each, None, work.begin, True)
            case list():
                self._take_cut(each, which, result)
            case scores:
                if each.long is not None:
                    self._take_scores(each, each.long, which, scores)

    def _take_scores(self, each: _Open, long: _Long, first: int, scores: Any) -> None:
        long.waiting[first] = scores
        while (ready := long.waiting.pop(long.found.clips, None)) is not None:
            long.found.process(ready)
            share = len(ready) / long.clips
            self._progressed(self._to_ms(long.long.samples) * share, (each.recording.bytes or 0) * share)
        if long.found.clips == long.clips:
            self._finish(each, long.long.samples, long.found.words(long.long.samples))

    def _finish(self, each: _Open, samples: int, words: tuple[Word, ...]) -> None:
        each.heard = Outcome(each.recording, self._to_ms(samples), words)
        if self._keep is not None:
            for some in spans(words):
                each.cutting += 1
                self._submit(each, some, work.cut, tuple((word.start_ms, word.end_ms) for word in some))
        if not each.cutting:
            each.outcome = each.heard

    def _take_cut(self, each: _Open, words: tuple[Word, ...], pieces: list[NDArray[np.int16]]) -> None:
        assert self._keep is not None
        for word, samples in zip(words, pieces, strict=True):
            self._keep(each.recording, word, samples)
        each.cutting -= 1
        if not each.cutting:
            each.outcome = each.heard

    def _fail(self, each: _Open, message: str) -> None:
        each.outcome = Outcome(each.recording, failure=message)
        self._progressed(0, each.recording.bytes or 0)

    def _to_ms(self, samples: int) -> int:
        return samples * 1000 // self._scorer.model.sample_rate_hz
