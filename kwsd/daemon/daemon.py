"""Owns everything that runs: starts it, supervises it, reloads it, drains it, stops it.

The main thread lives here. It never scores and never serves anybody; when something wakes it, and once a second, it
looks after the microphone, tells the state, feeds the watchdog, and notices what has died.
"""

import logging
import os
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing
from typing import Any, NoReturn

from kwsd import __version__, log
from kwsd.audio.open import SourceOptions, open_source
from kwsd.audio.source import Source
from kwsd.config.effective import Effective, Plan, effective
from kwsd.daemon.background_call import BackgroundCall
from kwsd.daemon.listener import Listener
from kwsd.daemon.reload import Checked, Reload
from kwsd.daemon.signals import Signals
from kwsd.daemon.systemd import Notifier, Watchdog
from kwsd.errors import ConfigError, KwsdError, OutputError
from kwsd.events import StatusEvent, rfc3339
from kwsd.model import Model
from kwsd.sinks import registry
from kwsd.sinks.bus import Bus
from kwsd.sinks.sink import Services, Sink
from kwsd.status import UNHEARD, Snapshot, State, cpu_s, rss_mb

LOOK_S = 1.0
LOOK_SOON_S = 0.2  # while the spotter thread is behind
LOOK_RELOADING_S = 0.05
STOP_S = 0.6  # for the sinks at SIGTERM; the rest of the second is for closing what they have open
LOSSES_EVERY_S = 10.0  # a machine that is overloaded loses samples all the time
START_LIMIT_S = 30.0  # the unit's TimeoutStartSec, prolonged while the microphone is waited for

logger = logging.getLogger(__name__)


class Daemon:
    """One run of kwsd.

    Args:
        read_plan: reads the settings; called at start and at each reload. Raises KwsdError.
        source: what stands in for the microphone, if anything.
        can_reload: whether there is a configuration to read again at SIGHUP.
    """

    def __init__(self, read_plan: Callable[[], Plan], source: SourceOptions, *, can_reload: bool) -> None:
        self._read_plan, self._source_options, self._can_reload = read_plan, source, can_reload
        self._notifier = Notifier()
        self._watchdog = Watchdog(self._notifier.watchdog_interval_s) if self._notifier.watchdog_interval_s else None
        self._started_s = time.monotonic()
        self._state = _status(State.STARTING, "starting", time.time())
        self._ready = False
        self._lost_told = 0  # samples
        self._next_losses_s = 0.0
        self._next_extension_s = 0.0
        self._failure: BaseException | None = None
        self._output_closed = False
        self._reload: Reload | None = None
        self._stopped = False

    def run(self) -> int:
        """Listens until the source ends, a signal comes, or a part dies; the exit code. Raises KwsdError."""
        with Signals(can_reload=self._can_reload) as self._signals, closing(self._notifier):
            starting = BackgroundCall(self._check_first, "kwsd-start", self._signals.wake)
            while not (starting.done or self._signals.stop):
                self._signals.wait(LOOK_S)
            if not starting.done:
                self._end_at_once(0)
            if self._signals.stop:
                return 0
            self._plan, hearing, sinks = starting.result()
            self._bus = Bus(sinks, self._sink_died)
            self._listener = Listener(
                self._open_source(self._plan, hearing, self._source_options),
                hearing,
                publish=self._bus.publish,
                scores_wanted=lambda: self._bus.wants("scores"),
                audio_wanted_ms=lambda: self._bus.audio_ms,
                tail=self._source_options.tail,
                wake=self._signals.wake,
            )
            code, last_words = self._listen()
        for line in last_words:
            logger.error("%s", line)
        if not self._stopped:
            self._end_at_once(code)
        return code

    def _end_at_once(self, code: int) -> NoReturn:
        """Ends the process although a thread is stuck, in a model, that would hang its exit too."""
        sys.stderr.flush()
        os._exit(code)

    def _check_first(self) -> Checked:
        """Reads and checks everything, and sets up the log."""
        plan = self._read_plan()
        log.setup(plan.settings.log.level, plan.settings.log.format)
        return self._checked(plan)

    def _checked(self, plan: Plan, keep: Model | None = None) -> Checked:
        return Checked(plan, effective(plan, keep), self._make_sinks(plan))

    def _listen(self) -> tuple[int, tuple[str, ...]]:
        """From the start of the threads to their end; the exit code, and what to say about it last."""
        hook_before, threading.excepthook = threading.excepthook, self._thread_died
        try:
            try:
                self._bus.start()
                self._listener.start()
            except KwsdError as error:  # a sink that cannot be opened
                self._stopped = self._listener.stop(0.0)
                return _end_by(error)
            code, last_words = self._supervise()
            try:
                self._shut_down(last_words)
                if self._failure is not None:  # what was delivered last may have killed its sink
                    raise self._failure
            except BaseException as error:
                if code == 0:
                    return _end_by(error)
            return code, last_words
        finally:
            threading.excepthook = hook_before

    # While it runs.

    def _supervise(self) -> tuple[int, tuple[str, ...]]:
        """Watches until there is a reason to end; the exit code, and what to say about it last."""
        while True:
            self._signals.wait(self._look_s)
            try:
                if self._failure is not None:
                    raise self._failure
                if self._output_closed or self._signals.stop:
                    return 0, ()
                if self._reload is not None:
                    self._go_on_reloading(self._reload)
                elif self._signals.reload and not self._listener.changing:
                    self._signals.reload = False
                    self._begin_reloading()
                if self._listener.ended:
                    self._look()
                    self._listener.raise_error()
                    self._drain_at_the_end()
                    return 0, ()
                self._look()
            except BaseException as error:
                return _end_by(error)

    @property
    def _look_s(self) -> float:
        """How long the next look at everything may wait."""
        if self._reload is not None:
            return LOOK_RELOADING_S
        look_s = LOOK_SOON_S if self._listener.behind else LOOK_S
        return look_s if self._watchdog is None else min(look_s, self._watchdog.period_s)

    def _look(self) -> None:
        """One look at everything."""
        now = time.monotonic()
        self._listener.step(now)
        if (state := self._listener.state) is not None:
            self._tell(*state)
        if self._listener.first_block and not self._ready:
            self._ready = True
            self._notifier.ready()
            self._say_what_is_heard()
        if not self._ready and now >= self._next_extension_s:
            self._next_extension_s = now + LOOK_S
            self._notifier.extend(START_LIMIT_S)
        self._tell_losses(now)
        if self._watchdog is not None and self._watchdog.due(
            now, self._listener.samples, self._listener.strides, self._state.state, self._listener.recovery_steps
        ):
            self._notifier.watchdog()

    def _say_what_is_heard(self) -> None:
        model = self._listener.model
        version = model.metadata.get("version", "")
        words = ", ".join(label for label in model.labels if label in self._listener.only)
        logger.info("%s on %s: %s", f"{model.name} {version}".rstrip(), self._listener.device, words)
        logger.debug("events go to %s", ", ".join(sink.name for sink in self._bus.sinks) or "nobody")

    def _tell(self, state: State, reason: str, since_s: float) -> None:
        """Says a new state once: to the log, the service manager and the sinks."""
        if (state, reason) == (self._state.state, self._state.reason):
            return
        if state == State.DEGRADED and self._state.state in UNHEARD:  # it hears again, and then there is a but
            self._tell(State.LISTENING, "audio flows again", since_s)
        self._state = _status(state, reason, since_s)
        level = logging.INFO if state in (State.STARTING, State.LISTENING, State.STOPPING) else logging.WARNING
        if state != State.STOPPING or self._listener.first_block:
            logger.log(level, "%s: %s", state, reason)
        self._notifier.status(f"{state}: {reason}")
        self._bus.publish(self._state)

    def _tell_losses(self, now: float) -> None:
        """Says what audio was lost since it was said last."""
        lost = self._listener.samples_lost - self._lost_told
        if lost == 0 or now < self._next_losses_s:
            return
        self._lost_told, self._next_losses_s = self._lost_told + lost, now + LOSSES_EVERY_S
        lost_s = lost / self._listener.model.sample_rate_hz
        logger.warning("%.2f s of audio lost; no word is joined across it", lost_s)

    def _begin_reloading(self) -> None:
        self._notifier.reloading()
        keep = self._listener.model
        self._reload = Reload(lambda: self._checked(self._read_plan(), keep), self._another_source, self._signals.wake)

    def _go_on_reloading(self, reload: Reload) -> None:
        """Takes the configuration as it is now as soon as all of it is known to be right, or says why not."""
        try:
            checked = reload.step(time.monotonic())
            if checked is None:
                return
            self._bus.replace(checked.sinks)  # the last thing that may fail
        except KwsdError as error:
            reload.abandon()
            for line in error.lines:
                logger.error("reload refused, the old settings stay: %s", line)
        else:
            log.setup(checked.plan.settings.log.level, checked.plan.settings.log.format)
            self._listener.change(checked.hearing, reload.source)
            self._plan = checked.plan
            logger.info("settings read again")
        self._reload = None
        self._notifier.ready()

    def _another_source(self, checked: Checked) -> Source | None:
        """The source that a reload asks for, where it is not the one at hand; one that is not there is waited for."""
        rate_hz = self._listener.model.sample_rate_hz
        same_rate = checked.hearing.model.sample_rate_hz == rate_hz
        if self._source_options.path is not None:
            if not same_rate:
                raise ConfigError(f"model: its rate is not {rate_hz} Hz, at which this source is being read")
            return None
        if same_rate and checked.plan.settings.audio == self._plan.settings.audio:
            return None
        return self._open_source(checked.plan, checked.hearing, self._source_options._replace(wait=True))

    def _open_source(self, plan: Plan, hearing: Effective, options: SourceOptions) -> Source:
        return open_source(plan.settings.audio, options, hearing.model.sample_rate_hz, hearing.recognize.clip_stride_ms)

    def _make_sinks(self, plan: Plan) -> list[Sink]:
        return registry.create(plan.settings.sinks or (), Services(self._hello, self._snapshot, self._output_broke))

    # How it ends.

    def _drain_at_the_end(self) -> None:
        """Gives each sink its own time to deliver what the file's end left queued, unless a signal cuts it short."""
        began_s = time.monotonic()
        while not self._signals.stop and not self._output_closed and self._failure is None:
            now = time.monotonic()
            if not any(sink.counters["queued"] and now < began_s + sink.drain_limit_s for sink in self._bus.sinks):
                return
            self._signals.wait(0.02)

    def _shut_down(self, last_words: tuple[str, ...]) -> None:
        deadline_s = time.monotonic() + STOP_S
        try:
            self._notifier.stopping()
            if self._reload is not None:
                self._reload.abandon()
            self._stopped = self._listener.stop(0.3) and not (self._reload is not None and self._reload.checking)
            self._tell(State.STOPPING, _why(self._signals.stop, last_words), time.time())
        finally:
            self._bus.drain(deadline_s)
            self._bus.stop()
        if self._listener.first_block or not last_words:
            self._tell_totals()

    def _tell_totals(self) -> None:
        """What was heard, and what became of every event."""
        sinks = [
            f"{name}: {', '.join(f'{count} {what}' for what, count in counts.items() if count) or 'nothing sent'}"
            for name, counts in self._bus.counters.items()
        ]
        logger.info(
            "heard %.1f s of audio, %d detections; %s",
            self._listener.audio_s,
            self._listener.run.detections,
            "; ".join(sinks) or "no sinks",
        )

    # What other threads call.

    def _sink_died(self, sink: Sink, error: BaseException) -> None:
        self._failure = (
            error
            if isinstance(error, KwsdError)
            else KwsdError(f"sink {sink.name}", f"{type(error).__name__}: {error}")
        )
        self._signals.wake()

    def _thread_died(self, arguments: threading.ExceptHookArgs) -> None:
        """A thread that has nobody to tell its error to."""
        name = arguments.thread.name if arguments.thread else "thread"
        self._failure = KwsdError(name, f"{arguments.exc_type.__name__}: {arguments.exc_value}")
        self._signals.wake()

    def _output_broke(self, _sink: Sink, error: OSError) -> None:
        """Standard output, the only sink, cannot be written: a closed pipe is a quiet end, all else an error."""
        if isinstance(error, BrokenPipeError):
            self._output_closed = True
        else:
            self._failure = OutputError("standard output", error.strerror or str(error), "Free space, or give a sink.")
        self._signals.wake()

    def _hello(self) -> dict[str, Any]:
        model = self._listener.model
        return {
            "type": "hello",
            "protocol": 1,
            "version": __version__,
            "run": self._listener.run.id,
            "model": model.name,
            "labels": list(model.labels),
            "state": self._state.state,
        }

    def _snapshot(self) -> dict[str, Any]:
        listener = self._listener
        capture_cpu_s, capture_rss_mb = listener.usage
        return Snapshot(
            state=self._state.state,
            reason=self._state.reason,
            since=self._state.since,
            uptime_s=time.monotonic() - self._started_s,
            audio_s=listener.audio_s,
            samples_lost=listener.samples_lost,
            overruns=listener.overruns,
            strides=listener.strides,
            stride_ms=listener.stride_ms,
            cpu_s=cpu_s() + capture_cpu_s,
            rss_mb=rss_mb() + capture_rss_mb,
            detections=listener.run.detections,
            sinks=self._bus.counters,
            clients=sum(getattr(sink, "clients", 0) for sink in self._bus.sinks),
            device=listener.device,
            model=listener.model.name,
            recordings=[sink.keeps_recordings_in for sink in self._bus.sinks if sink.keeps_recordings_in is not None],
        ).to_dict()


def _end_by(error: BaseException) -> tuple[int, tuple[str, ...]]:
    """The exit code that an error stands for, and its words."""
    if isinstance(error, KwsdError):
        return error.exit_code, tuple(error.lines)
    logger.debug("what died", exc_info=error)
    return KwsdError.exit_code, (f"internal: {type(error).__name__}: {error}",)


def _why(asked: bool, last_words: tuple[str, ...]) -> str:
    if last_words:
        return last_words[-1]
    return "asked to stop" if asked else "the end"


def _status(state: State, reason: str, since_s: float) -> StatusEvent:
    return StatusEvent(rfc3339(time.time()), state, reason, rfc3339(since_s))
