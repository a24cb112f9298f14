"""Source, models and spotter thread as one object, supervised by the main thread."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from kwsd.audio.source import Found, LiveSource, Resumable, Source
from kwsd.config.effective import Effective
from kwsd.daemon.cutter import Cutter
from kwsd.daemon.ensemble import Ensemble
from kwsd.daemon.rest import Rest
from kwsd.daemon.spotter_thread import Run, SpotterThread
from kwsd.events import Event, PeakEvent, rfc3339
from kwsd.status import State

STILL_S = 2.0  # without a block processed although there is audio
BEHIND_S = 0.25  # of audio; ordinary jitter stays below


class Listener:
    """A source, its models, and the thread that runs the audio through them.

    Args:
        source: closed by `stop`.
        plans: its models, each with the settings in effect.
        publish: called with each event; must not block.
        armed, tell_peak, run: as in `SpotterThread`.
        name: its name, in events.
        scores_wanted: returns whether `scores` has subscribers at the moment.
        audio_wanted_ms: how much audio before and after a word the sinks want, if any does.
        tail: whether a clip of faint noise follows the end of a file.
        wake: wakes the main thread.
    """

    def __init__(
        self,
        source: Source,
        plans: Sequence[Effective],
        *,
        run: Run,
        publish: Callable[[Event], None],
        armed: Callable[[], Mapping[str, float | None]],
        tell_peak: Callable[[PeakEvent], None],
        name: str = "default",
        scores_wanted: Callable[[], bool],
        audio_wanted_ms: Callable[[], tuple[int, int] | None],
        tail: bool,
        wake: Callable[[], None],
    ) -> None:
        from kwsd.audio.file import tail as faint_noise

        self.name = name
        self.plans = tuple(plans)
        self._thread = SpotterThread(
            source,
            Ensemble(plans),
            run,
            Cutter(publish, audio_wanted_ms, self.sample_rate_hz),
            tail=faint_noise(max(plan.model.clip_samples for plan in plans) if tail else 0),
            armed=armed,
            tell_peak=tell_peak,
            listener=name,
            scores_wanted=scores_wanted,
            wake=wake,
        )
        self._paused_since_s: float | None = None  # Unix time
        self._kept: Source | None = None  # source to continue with after the pause; None for a microphone
        self._found = Found()  # the microphone that the pause closed
        self._looks = 0
        self._began_s = self._slow_or_not_since_s = time.time()
        self._moved = 0, 0.0  # samples processed at the last check, and when their number last changed (monotonic)
        self._looked_s = 0.0  # when the last check was (monotonic)
        self._slow: str | None = None  # at the last check, in words, if scoring could not keep up
        self._spare: list[Source] = []  # the sources of a change that the spotter thread has yet to make

    def start(self) -> None:
        self._thread.start()

    def step(self, now: float) -> None:
        """Looks after the microphone, and at whether scoring keeps up.

        Raises:
            KwsdError: the errors of `open_source` that appear later.
        """
        self._looks += 1
        if (microphone := self._microphone) is not None:
            microphone.step(now)
        if not self.changing:
            self._close_spare()
        slow = self._stands_still(now) or self._thread.ensemble.slow
        if (slow is None) != (self._slow is None):
            self._slow_or_not_since_s = time.time()
        self._slow = slow

    def _stands_still(self, now: float) -> str | None:
        """The fault in words if the spotter thread does not process the audio that is waiting for it."""
        waiting_s = self._waiting_s
        if self._moved[0] != self.samples or waiting_s < BEHIND_S:
            # Audio has waited for longest since then; but what a server sends ahead of time waits, too.
            self._moved = self.samples, max(now - waiting_s, self._looked_s)
        self._looked_s = now
        if now - self._moved[1] < STILL_S:
            return None
        return f"scoring is stuck: no audio was scored for {STILL_S:g} s although it flows"

    @property
    def behind(self) -> bool:
        """Whether the spotter thread leaves audio waiting."""
        return self._waiting_s >= BEHIND_S

    @property
    def _waiting_s(self) -> float:
        return self._count("waiting") / self.sample_rate_hz

    def change(self, plans: Sequence[Effective], source: Source | None) -> None:
        """Switches to other settings, models or another source, between two blocks of audio.

        Other settings lose no samples. Another source loses the audio in between, counted; other models start afresh.
        Must not be called while `changing`.
        """
        thread = self._thread
        same_models = thread.ensemble.has_models_of(plans)
        ensemble = thread.ensemble if same_models else Ensemble(plans)

        def carry_out() -> None:
            if same_models:
                ensemble.configure(plans)
            else:
                ensemble.reset(thread.ensemble.position_ms * ensemble.sample_rate_hz // 1000)
            thread.take_over(ensemble, source)

        if source is not None:
            self._spare = [thread.source, source]
        self.plans = tuple(plans)
        if thread.between_blocks(carry_out):
            self._close_spare()

    @property
    def reads_on(self) -> bool:
        """Whether its source is a file or a pipe, which continues where it was."""
        return self._kept is not None or (self._microphone is None and not self.paused)

    @property
    def paused(self) -> bool:
        return self._paused_since_s is not None

    def pause(self) -> None:
        """Stops listening until `resume`, and closes the microphone. Must not be called while `changing`."""
        before, microphone = self._thread.source, self._microphone
        self._kept = before if microphone is None else None
        self._found = Found() if microphone is None else microphone.found
        self._spare = [] if self._kept is not None else [before]
        self._paused_since_s = time.time()
        self._go_on_with(Rest(before.name, before.rate_hz))

    def resume(self, microphone: Callable[[Found], Source]) -> None:
        """Listens again, afresh. Must not be called while `changing`.

        Args:
            microphone: opens it, given which one it was; not called for a file, which continues.
        """
        source = self._kept or microphone(self._found)
        if isinstance(self._kept, Resumable):
            self._kept.go_on()
        self._began_s = time.time()
        self._kept = self._paused_since_s = None
        self._go_on_with(source)

    def read_next(self, source: Source | None) -> None:
        """Lets go of the file that is held up by the pause at hand.

        Args:
            source: the one to read after the pause; None to open a microphone then.
        """
        if self._kept is not None:
            self._kept.close()
        self._kept = source

    def _go_on_with(self, source: Source) -> None:
        thread = self._thread
        if thread.between_blocks(lambda: thread.listen_afresh(source)):
            self._close_spare()

    @property
    def changing(self) -> bool:
        """Whether the spotter thread, which may be stuck, has yet to make the last change."""
        return self._thread.changing

    def ask_to_stop(self) -> None:
        """Asks the thread to end after the current block, without waiting for it."""
        self._thread.ask_to_stop()

    def stop(self, timeout_s: float) -> bool:
        """Ends the thread and closes the source; returns whether both succeeded within ``timeout_s``."""
        ended = self._thread.stop(timeout_s)
        if ended:
            self._close_spare()
            for source in filter(None, (self._thread.source, self._kept)):
                source.close()
        return ended

    def _close_spare(self) -> None:
        """Closes the sources that no thread reads."""
        for source in self._spare:
            if source is not self._thread.source:
                source.close()
        self._spare.clear()

    @property
    def error(self) -> BaseException | None:
        """The error that ended the spotter thread, if any."""
        return self._thread.error

    @property
    def state(self) -> tuple[State, str, float] | None:
        """State, reason and since when (Unix time); None as long as there is nothing new."""
        if self._paused_since_s is not None:
            return State.PAUSED, "nothing is heard", self._paused_since_s
        if (microphone := self._microphone) is not None:
            state, reason, since_s = microphone.state
        elif self.first_block:
            state, reason, since_s = State.LISTENING, f"reading {self.device}", self._began_s
        else:
            return None
        if state not in (State.LISTENING, State.DEGRADED):
            return state, reason, since_s
        if self._slow is not None:
            state, reason = State.DEGRADED, self._slow if state == State.LISTENING else f"{reason}; {self._slow}"
        return state, reason, max(since_s, self._slow_or_not_since_s)

    @property
    def first_block(self) -> bool:
        """Whether audio has come."""
        return self._thread.first_block.is_set()

    @property
    def ended(self) -> bool:
        """Whether the spotter thread has ended."""
        return self._thread.ended.is_set()

    @property
    def only(self) -> frozenset[str]:
        """The words that make events."""
        return self._thread.ensemble.only

    @property
    def labels(self) -> list[str]:
        """Those of all models."""
        return list(dict.fromkeys(label for plan in self.plans for label in plan.model.labels))

    @property
    def models(self) -> list[str]:
        """The models' names."""
        return [plan.model.name for plan in self.plans]

    @property
    def sample_rate_hz(self) -> int:
        """The models' sample rate."""
        return self.plans[0].model.sample_rate_hz

    @property
    def device(self) -> str:
        return self._thread.source.name

    @property
    def samples(self) -> int:
        """Samples processed, at the model's rate."""
        return self._thread.samples

    @property
    def audio_s(self) -> float:
        """Seconds of audio processed."""
        return self._thread.audio_s

    @property
    def strides(self) -> int:
        """Clips scored."""
        return self._thread.strides

    @property
    def stride_ms(self) -> float:
        return self._thread.ensemble.clip_stride_ms

    @property
    def samples_lost(self) -> int:
        """Samples that never reached the spotter, at the model's rate."""
        return self._thread.samples_missed + self._count("samples_lost")

    @property
    def overruns(self) -> int:
        """How often the pipe was full."""
        return self._count("overruns")

    def _count(self, name: str) -> int:
        return int(self._microphone.counters[name]) if self._microphone is not None else 0

    @property
    def recovery_steps(self) -> int:
        """Steps of the recovery loop, or checks during a pause: a sign of life while no audio is expected."""
        if self.paused:
            return self._looks
        return self._microphone.steps if self._microphone is not None else 0

    def armed_threshold(self, word: str) -> float:
        """The score that an armed word needs, unless the request set another."""
        tellers = [plan for plan in self.plans if word in plan.only] or self.plans
        return tellers[0].recognize.armed_threshold

    def to_dict(self) -> dict[str, Any]:
        """Its part of a snapshot."""
        state, reason, since_s = self.state or (State.STARTING, "starting", self._began_s)
        if self.ended:
            state, since_s = State.STOPPING, self._thread.ended_s
            reason = "the end" if self.error is None else f"ended: {self.error}"
        return {
            "state": state,
            "reason": reason,
            "since": rfc3339(since_s),
            "device": self.device,
            "models": self.models,
            "level_dbfs": round(self.level_dbfs, 1),
            "thresholds": {
                word: round(score, 4) for word, score in sorted(self.thresholds.items()) if word in self.only
            },
            "on_demand": [word for plan in self.plans for word in plan.recognize.on_demand or ()],
            "samples_lost": self.samples_lost,
            "strides": self.strides,
        }

    @property
    def thresholds(self) -> dict[str, float]:
        """What each word needs that is not armed; of a word that two models have, the one that tells it."""
        needed: dict[str, float] = {}
        for plan in self.plans:
            needed |= {word: plan.recognize.threshold(word) for word in plan.model.labels if word not in needed}
            needed |= {word: plan.recognize.threshold(word) for word in plan.only}
        return needed

    @property
    def level_dbfs(self) -> float:
        """Mean level of the last block of audio."""
        return self._thread.level_dbfs

    @property
    def usage(self) -> tuple[float, float]:
        """User and system time, in seconds, and resident memory, in MiB, of the processes that capture."""
        return self._microphone.usage if self._microphone is not None else (0.0, 0.0)

    @property
    def _microphone(self) -> LiveSource | None:
        return self._thread.device
