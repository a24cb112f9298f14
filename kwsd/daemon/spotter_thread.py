"""The spotter thread: a source's samples go into the models' pipelines, their words come out as events.

This thread owns the Ensemble and the reading side of the source. It never touches sockets or files, and the
only thing it waits for is samples.
"""

import math
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

from kwsd.audio.source import Block, End, LiveSource, Source
from kwsd.daemon.cutter import Cutter
from kwsd.daemon.ensemble import Ensemble, Member
from kwsd.events import Detection, DetectionEvent, PeakEvent, ScoresEvent, rfc3339
from kwsd.recognize.peaks import Peak
from kwsd.recognize.recognize_commands import Verdict
from kwsd.uptime import uptime_s

SCORES_EVERY_S = 0.1  # at most ten `scores` events a second
IDLE_MAX_S = 0.2  # less than the main thread considers falling behind


class Run:
    """One run of kwsd: twelve hexadecimal digits drawn at start, and the detections counted from 1."""

    def __init__(self) -> None:
        import secrets

        self.id = secrets.token_hex(6)
        self.detections = 0
        self._lock = threading.Lock()

    @contextmanager
    def next(self) -> Iterator[tuple[str, int]]:
        """The next detection's id and number; other threads wait meanwhile, so that events are published in order."""
        with self._lock:
            self.detections += 1
            yield f"{self.id}-{self.detections}", self.detections


class SpotterThread:
    """Runs an Ensemble on a source in its own thread.

    Args:
        source: where the samples come from; closed by its creator.
        ensemble: the pipelines; must not be used elsewhere while the thread runs.
        run: numbers the detections.
        cutter: receives each event and all audio; must not block.
        tail: faint noise that follows a source's end, float32; empty for none.
        armed: returns the armed words with their thresholds, as a new object after each change.
        tell_peak: called with each peak; must not block.
        listener: the name of the listener that this thread belongs to.
        scores_wanted: returns whether `scores` has subscribers at the moment.
        wake: called when the main thread should check: the source has no audio, or lost some, its fault or the stride
            changed, the first block was processed, the thread has ended.

    Attributes:
        source: where samples come from now.
        device: the same if it is a Device, else None.
        samples, audio_s: processed so far.
        samples_missed: lost while one source replaced another.
        changing: whether a change passed to `between_blocks` has yet to be made.
        error: the error that ended the thread, if any.
        ended_s: Unix time at which it ended.
    """

    def __init__(
        self,
        source: Source,
        ensemble: Ensemble,
        run: Run,
        cutter: Cutter,
        *,
        tail: NDArray[np.float32],
        armed: Callable[[], Mapping[str, float | None]],
        tell_peak: Callable[[PeakEvent], None],
        listener: str,
        scores_wanted: Callable[[], bool],
        wake: Callable[[], None],
    ) -> None:
        self._listen_to(source)
        self.samples = 0
        self.audio_s = 0.0
        self.samples_missed = 0
        self.strides_before = 0
        self.changing = False
        self.error: BaseException | None = None
        self.first_block = threading.Event()
        self.ended = threading.Event()
        self.ended_s = 0.0
        self._run_numbers, self._cutter, self._tail = run, cutter, tail
        self._publish = cutter.publish
        self._armed, self._tell_peak, self._listener = armed, tell_peak, listener
        self._scores_wanted, self._wake = scores_wanted, wake
        self._end_ms: int | None = None  # where the tail begins, once the source has ended
        self._power = 0.0  # of the last block
        self._captured_s = 0.0  # Unix time of its last sample
        self._use(ensemble)
        self._next_scores_s = 0.0
        self._last_arrived_s = time.monotonic()
        self._between_sources = False
        self._fault: str | None = None
        self._stop = threading.Event()
        self._change: Callable[[], None] | None = None
        self._ending = threading.Lock()  # a change is made either by this thread or, once it has ended, by its caller
        self._thread = threading.Thread(target=self._main, name="kwsd-spotter", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def ask_to_stop(self) -> None:
        """Asks the thread to end after the current block."""
        self._stop.set()

    def stop(self, timeout_s: float) -> bool:
        """Asks the thread to end after the current block; returns whether it did within ``timeout_s``."""
        self.ask_to_stop()
        if self._thread.ident is not None:  # it was started
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    @property
    def strides(self) -> int:
        """Clips scored since the start."""
        return self.strides_before + self.ensemble.strides

    def between_blocks(self, change: Callable[[], None], timeout_s: float = 2.0) -> bool:
        """Makes the thread itself call ``change`` before its next block, so that nothing is lost or inconsistent.

        If the thread has ended, the change is made at once: what it is asked for must not wait for a block forever.

        Returns:
            Whether it was done within ``timeout_s``.
        """
        done = threading.Event()

        def carry_out() -> None:
            change()
            self.changing = False
            done.set()

        with self._ending:
            self.changing = True
            self._change = carry_out
            if self.ended.is_set():
                self._make_change()
        return done.wait(timeout_s)

    def _make_change(self) -> None:
        if (change := self._change) is not None:
            self._change = None
            change()

    def take_over(self, ensemble: Ensemble, source: Source | None) -> None:
        """Switches to these, and to another source if given; called by this thread itself."""
        if ensemble is not self.ensemble:
            self.strides_before += self.ensemble.strides
            self._cutter.restart(ensemble.sample_rate_hz, ensemble.position_ms)
        self._use(ensemble)
        if source is not None:
            self._listen_to(source)
            self._between_sources = True

    def listen_afresh(self, source: Source) -> None:
        """Switches to another source without counting the time in between as lost; called by this thread itself."""
        self._listen_to(source)
        self._between_sources = False
        self._last_arrived_s = time.monotonic()
        self._power = 0.0
        self._lose(0)

    def _use(self, ensemble: Ensemble) -> None:
        self.ensemble = ensemble
        self._strides_told = ensemble.first_strides  # with the last `scores`
        self._arming: Mapping[str, float | None] | None = None  # as passed to the ensemble
        ensemble.tell_peaks(self._peak)

    def _listen_to(self, source: Source) -> None:
        self.source = source
        self.device = source if isinstance(source, LiveSource) else None  # determined once, since it is slow

    def _main(self) -> None:
        try:
            while not self._stop.is_set():
                self._make_change()
                item = self.source.read(0.1)
                if isinstance(item, Block):
                    self._hear(item)
                elif isinstance(item, End):
                    self._finish()
                    break
                else:
                    if item is not None:
                        self._lose(item.lost)
                    self._wake()
            self._cutter.finish()
        except BaseException as error:  # reported to the main thread, which ends kwsd with it
            self.error = error
        finally:
            with self._ending:
                self.ended_s = time.time()
                self.ended.set()
                self._make_change()
            self._wake()

    def _hear(self, block: Block) -> None:
        if self._between_sources:
            if block.arrived_s <= self._last_arrived_s:  # the previous source was still running then
                return
            self._between_sources = False  # audio that was not captured meanwhile is a gap like any other
            missed_s = block.arrived_s - self._last_arrived_s
            missed = max(0, round(missed_s * self.source.rate_hz) - len(block.samples))
            self.samples_missed += missed
            self._lose(missed)
        self._last_arrived_s, self._captured_s = block.arrived_s, block.captured_s
        if (armed := self._armed()) is not self._arming:
            self.ensemble.arm(armed)
            self._arming = armed
        self._cutter.push(block.samples)
        for member, detection in self.ensemble.push(block.samples):
            latency_ms = (time.monotonic() - block.arrived_s) * 1000 if self.source.paced else None
            self._tell(member, detection, self._moment_s(detection.audio_ms), latency_ms)
        if count := len(block.samples):
            self._power = float(block.samples.dot(block.samples)) / count
        self.samples += count
        self.audio_s += count / self.source.rate_hz
        if not self.first_block.is_set():
            self.first_block.set()
            self._wake()
        if self._scores_wanted():
            self._tell_scores(block)
        if self.source.paced:
            self._keep_up(block)

    def _lose(self, samples: int) -> None:
        self.ensemble.reset(samples)
        self._cutter.gap(samples)

    def _keep_up(self, block: Block) -> None:
        now_s = time.monotonic()
        if self.ensemble.keep_up(now_s - block.arrived_s, now_s):
            self._wake()
        if self.device is None:
            return
        if (fault := self.device.fault) != self._fault:
            self._fault = fault
            self._wake()
        if self._is_newest(block, now_s) and self.ensemble.slow is None:
            self._let_blocks_gather(now_s)

    def _is_newest(self, block: Block, now_s: float) -> bool:
        """Whether no other block is waiting behind this one."""
        return now_s - block.arrived_s < self.ensemble.clip_stride_ms / 2000

    def _let_blocks_gather(self, now_s: float) -> None:
        """Waits while no block can make a word fire, so that no word is late.

        Waking up for each block costs more than scoring it, because the caches are cold by then.
        """
        idle_s, stride_s = self.ensemble.idle_s
        strides = int(min(idle_s, IDLE_MAX_S) / stride_s + 1e-9)
        if self._scores_wanted():
            due_s = self._next_scores_s - now_s
            strides = min(strides, max(1, math.ceil(due_s / stride_s)))
        if strides:
            self._stop.wait((strides + 0.25) * stride_s)  # a little more, so that the last of them is there

    def _finish(self) -> None:
        """The tail: one clip of faint noise, so that the last word, and a file of one clip, is detected."""
        self._end_ms = end_ms = self.ensemble.position_ms
        for member, detection in self.ensemble.push(self._tail):
            clipped = Detection(detection.label, detection.score, min(detection.audio_ms, end_ms))
            latency_ms = (time.monotonic() - self._last_arrived_s) * 1000 if self.source.paced else None
            self._tell(member, clipped, time.time(), latency_ms)
        self.ensemble.end()

    def _moment_s(self, audio_ms: int) -> float:
        """Unix time at which the sample at this position was captured; for a file, the current time."""
        if self.device is None:
            return time.time()
        return self._captured_s - (self.ensemble.position_ms - audio_ms) / 1000

    def _tell(self, member: Member, detection: Detection, captured_s: float, latency_ms: float | None) -> None:
        if detection.label not in member.only:
            return
        with self._run_numbers.next() as (identity, seq):
            self._publish(
                DetectionEvent(
                    id=identity,
                    seq=seq,
                    time=rfc3339(captured_s),
                    label=detection.label,
                    score=detection.score,
                    audio_ms=detection.audio_ms,
                    latency_ms=latency_ms,
                    model=member.name,
                    device=self.source.name,
                    heard_s=uptime_s() - (latency_ms or 0) / 1000,
                    listener=self._listener,
                )
            )

    def _peak(self, member: Member, peak: Peak) -> None:
        audio_ms = peak.audio_ms if self._end_ms is None else min(peak.audio_ms, self._end_ms)
        wanted = peak.label in member.only or peak.verdict is not Verdict.FIRED
        event = PeakEvent(
            label=peak.label,
            score=peak.score,
            threshold=peak.threshold,
            outcome=peak.verdict.value if wanted else "not_wanted",
            audio_ms=audio_ms,
            time=rfc3339(self._moment_s(audio_ms)),
            model=member.name,
            listener=self._listener,
        )
        self._tell_peak(event)
        if peak.label in member.only:
            self._cutter.remember(event)

    def _tell_scores(self, block: Block) -> None:
        now_s = time.monotonic()
        overdue_s = now_s - self._next_scores_s
        if overdue_s < 0 or (overdue_s < SCORES_EVERY_S and not self._is_newest(block, now_s)):
            return
        if (scores := self.ensemble.averages) is None:
            return
        self._next_scores_s = now_s + SCORES_EVERY_S
        rows = self.ensemble.newest_rows(self.ensemble.first_strides - self._strides_told)
        self._strides_told = self.ensemble.first_strides
        self._publish(ScoresEvent(self.ensemble.position_ms, scores, self.level_dbfs, rows, self._listener))

    @property
    def level_dbfs(self) -> float:
        """Mean level of the last block."""
        return 10 * math.log10(max(self._power, 1e-12))
