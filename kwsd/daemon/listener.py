"""Source, model and spotter thread, put together, and looked at as one thing by the main thread."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from kwsd.audio.source import Device, Source
from kwsd.daemon.prepare import Prepared, spotter_settings
from kwsd.daemon.spotter_thread import Run, Spotting
from kwsd.events import Event

if TYPE_CHECKING:
    from kwsd.cli.run import Plan, SourceOptions


STILL_S = 2.0  # without a block heard although there is audio to hear
BEHIND_S = 0.25  # of audio; ordinary jitter stays below


def open_source(plan: "Plan", options: "SourceOptions", prepared: Prepared) -> Source:
    """The microphone, or what stands in for it, at the model's rate.

    Raises:
        InputError: the file cannot be read.
        ConfigError: the device's name fits several.
        UnavailableError: PortAudio is not there; with ``--no-wait``, the microphone cannot be opened.
    """
    audio, rate_hz = plan.settings.audio, prepared.model.sample_rate_hz
    if options.path is None:
        from kwsd.audio.microphone.microphone import Microphone

        return Microphone(audio, rate_hz, wait=options.wait, stride_ms=prepared.settings.clip_stride_ms)
    from kwsd.audio.file import open_source as open_file

    return open_file(
        options.path,
        rate_hz,
        realtime=options.realtime,
        raw_rate_hz=options.raw_rate_hz,
        raw_channels=options.raw_channels,
        channel=audio.channel,
        gain_db=audio.gain_db,
    )


class Listening:
    """A source, a model, and the thread that spots words between them.

    Args:
        source: closed by `stop`.
        prepared: model and settings.
        publish: takes each event; must not block.
        scores_wanted: whether anybody subscribes to `scores` just now.
        tail: whether a clip of faint noise follows the end of a file.
        wake: wakes the main thread.
    """

    def __init__(
        self,
        source: Source,
        prepared: Prepared,
        *,
        publish: Callable[[Event], None],
        scores_wanted: Callable[[], bool],
        tail: bool,
        wake: Callable[[], None],
    ) -> None:
        from kwsd.audio.file import tail as faint_noise

        self.run = Run()
        self.model = prepared.model
        self._spotting = Spotting(
            source,
            prepared.spotter(),
            prepared.pacing(),
            self.run,
            publish,
            model=prepared.model.name,
            only=prepared.only,
            tail=faint_noise(prepared.model.clip_samples if tail else 0),
            scores_wanted=scores_wanted,
            wake=wake,
        )
        self._began_s = self._slow_or_not_since_s = time.time()
        self._moved = 0, 0.0  # samples heard at the last look, and when that became so (monotonic)
        self._slow: str | None = None  # at the last look, in words, if scoring could not keep up
        self._spare: list[Source] = []  # the sources of a change that the spotter thread has not made yet

    def start(self) -> None:
        self._spotting.start()

    def step(self, now: float) -> None:
        """Looks after the microphone, and at whether scoring keeps up.

        Raises:
            KwsdError: what `open_source` can raise later than at once.
        """
        if (microphone := self._microphone) is not None:
            microphone.step(now)
        if not self.changing:
            self._close_spare()
        slow = self._stands_still(now) or self._spotting.pacing.reason
        if (slow is None) != (self._slow is None):
            self._slow_or_not_since_s = time.time()
        self._slow = slow

    def _stands_still(self, now: float) -> str | None:
        """In words, where the spotter thread hears nothing of the audio that is waiting for it."""
        waiting_s = self._waiting_s
        if self._moved[0] != self.samples or waiting_s < BEHIND_S:
            self._moved = self.samples, now - waiting_s
        if now - self._moved[1] < STILL_S:
            return None
        return f"scoring stands still: no audio was heard for {STILL_S:g} s although it flows"

    @property
    def behind(self) -> bool:
        """Whether the spotter thread leaves audio waiting."""
        return self._waiting_s >= BEHIND_S

    @property
    def _waiting_s(self) -> float:
        return self._count("waiting") / self.model.sample_rate_hz

    def change(self, prepared: Prepared, source: Source | None) -> None:
        """Goes on with other settings, another model, another source, between two blocks of audio.

        Other settings lose no sample. Another source loses what came in between, counted; another model hears afresh.
        Not to be called while `changing`.
        """
        spotting = self._spotting
        same_model = prepared.model is self.model
        spotter = spotting.spotter if same_model else prepared.spotter()

        def carry_out() -> None:
            if same_model:
                spotter.configure(**spotter_settings(prepared.settings))
            else:
                spotter.reset(spotting.spotter.position_ms * prepared.model.sample_rate_hz // 1000)
            spotting.take_over(spotter, prepared.pacing(), prepared.model.name, prepared.only, source)

        if source is not None:
            self._spare = [spotting.source, source]
        self.model = prepared.model
        if spotting.between_blocks(carry_out):
            self._close_spare()

    @property
    def changing(self) -> bool:
        """Whether the spotter thread, which may be stuck, has not made the last change yet."""
        return self._spotting.changing

    def stop(self, timeout_s: float) -> bool:
        """Ends the thread and lets go of the source; whether both could be within ``timeout_s``."""
        ended = self._spotting.stop(timeout_s)
        if ended:
            self._close_spare()
            self._spotting.source.close()
        return ended

    def _close_spare(self) -> None:
        """Closes the sources that no thread reads."""
        for source in self._spare:
            if source is not self._spotting.source:
                source.close()
        self._spare.clear()

    def raise_error(self) -> None:
        """Raises what ended the spotter thread, if an error did."""
        if self._spotting.error is not None:
            raise self._spotting.error

    @property
    def state(self) -> tuple[str, str, float] | None:
        """State, reason and since when (Unix time); None as long as there is nothing new to say."""
        if (microphone := self._microphone) is not None:
            state, reason, since_s = microphone.state
        elif self.first_block:
            state, reason, since_s = "listening", f"reading {self.device}", self._began_s
        else:
            return None
        if state not in ("listening", "degraded"):
            return state, reason, since_s
        if self._slow is not None:
            state, reason = "degraded", self._slow if state == "listening" else f"{reason}; {self._slow}"
        return state, reason, max(since_s, self._slow_or_not_since_s)

    @property
    def first_block(self) -> bool:
        """Whether audio has come."""
        return self._spotting.first_block.is_set()

    @property
    def ended(self) -> bool:
        """Whether the spotter thread has ended."""
        return self._spotting.ended.is_set()

    @property
    def only(self) -> frozenset[str]:
        """The words that make events."""
        return self._spotting.only

    @property
    def device(self) -> str:
        return self._spotting.source.name

    @property
    def samples(self) -> int:
        """Samples heard, at the model's rate."""
        return self._spotting.samples

    @property
    def audio_s(self) -> float:
        """Seconds of audio heard."""
        return self._spotting.audio_s

    @property
    def strides(self) -> int:
        """Clips scored."""
        return self._spotting.strides

    @property
    def stride_ms(self) -> float:
        return self._spotting.spotter.clip_stride_ms

    @property
    def samples_lost(self) -> int:
        """Samples that never reached the spotter, at the model's rate."""
        return self._spotting.samples_missed + self._count("samples_lost")

    @property
    def overruns(self) -> int:
        """How often the ring was full."""
        return self._count("overruns")

    def _count(self, name: str) -> int:
        return int(self._microphone.counters[name]) if self._microphone is not None else 0

    @property
    def recovery_steps(self) -> int:
        """Steps of the recovery loop, a sign of life where no audio is expected."""
        return self._microphone.steps if self._microphone is not None else 0

    @property
    def usage(self) -> tuple[float, float]:
        """User and system time, in seconds, and resident memory, in MiB, of the processes that capture."""
        return self._microphone.usage if self._microphone is not None else (0.0, 0.0)

    @property
    def _microphone(self) -> Device | None:
        return self._spotting.device
