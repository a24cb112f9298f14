"""Owns everything that runs: starts it, supervises it, reloads it, drains it, stops it.

This is the main thread. It never scores and never serves clients; when woken, and once a second, it looks after the
microphone, reports the state, feeds the watchdog, and notices what has died.
"""

import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from functools import partial
from typing import NoReturn

from kwsd import log
from kwsd.audio.open import SourceOptions
from kwsd.audio.source import Found, Source
from kwsd.config.effective import Effective, Plan, effective_of_all
from kwsd.daemon.announcer import Announcer
from kwsd.daemon.answers import Answers
from kwsd.daemon.asked import Asked
from kwsd.daemon.background_call import BackgroundCall
from kwsd.daemon.control import Control
from kwsd.daemon.ending import Failure, end_by, why
from kwsd.daemon.listener import Listener
from kwsd.daemon.listeners import Listeners
from kwsd.daemon.pipelines import Pipelines
from kwsd.daemon.reload import Checked, Reload
from kwsd.daemon.signals import Signals
from kwsd.daemon.sources import Sources, moves
from kwsd.daemon.spotter_thread import Run
from kwsd.daemon.systemd import Notifier, Watchdog
from kwsd.errors import KwsdError
from kwsd.events import PeakEvent
from kwsd.model import Model
from kwsd.report import PeakCounts
from kwsd.servers import registry as servers
from kwsd.sinks import registry
from kwsd.sinks.bus import Bus
from kwsd.sinks.sink import Services, Sink
from kwsd.status import State
from kwsd.uptime import uptime_s

LOOK_S = 1.0
LOOK_SOON_S = 0.2  # while the spotter thread is behind
LOOK_RELOADING_S = 0.05
ASKED_LIMIT_S = 1.0  # for carrying out a request; after that it is answered in any case
STOP_S = 0.6  # for the sinks at SIGTERM; the rest of the second is for closing their connections
STOP_LISTENER_S = 0.3
START_LIMIT_S = 30.0  # the unit's TimeoutStartSec, extended while waiting for the microphone

logger = logging.getLogger(__name__)


class Daemon:
    """One run of kwsd.

    Args:
        read_plan: reads the settings; called at start and at each reload. Raises KwsdError.
        source: how to read a file that replaces the microphone.
        can_reload: whether there is a configuration to reread at SIGHUP.
    """

    def __init__(self, read_plan: Callable[[], Plan], source: SourceOptions, *, can_reload: bool) -> None:
        self._read_plan, self._can_reload = read_plan, can_reload
        self._sources, self._tail = Sources(source), source.tail
        self._notifier = Notifier()
        self._watchdog = Watchdog(self._notifier.watchdog_interval_s) if self._notifier.watchdog_interval_s else None
        self._announcer = Announcer(self._notifier)
        self._run = Run()
        self._peaks = PeakCounts()
        self._answers = Answers(self._announcer, self._run, self._peaks)
        self._control = self._answers.control = Control(
            self._answers.words, self._answers.wanted, lambda: self._asked.wait(ASKED_LIMIT_S)
        )
        self._asked = Asked(lambda: self._signals.wake())
        self._began_s = time.time()
        self._ready = False
        self._introduced: set[Listener] = set()  # listeners that the log has mentioned
        self._next_extension_s = 0.0
        self._failure = Failure(lambda: self._signals.wake())
        self._reload: Reload | None = None
        self._stopped = False

    def run(self) -> int:
        """Listens until the source ends, a signal comes, or a part dies; returns the exit code. Raises KwsdError."""
        with Signals(can_reload=self._can_reload) as self._signals, closing(self._notifier):
            starting = BackgroundCall(self._check_first, "kwsd-start", self._signals.wake)
            while not (starting.done or self._signals.stop):
                self._signals.wait(LOOK_S)
            if not starting.done:
                self._end_at_once(0)
            if self._signals.stop:
                return 0
            self._plan, self._hearing, sinks = starting.result()
            self._bus = self._answers.bus = Bus(sinks, self._failure.sink_died)
            self._announcer.publish = self._bus.publish
            self._listeners = self._answers.listeners = self._make_listeners()
            code, last_words = self._listen()
        for line in last_words:
            logger.error("%s", line)
        if not self._stopped:
            self._end_at_once(code)
        return code

    def _make_listeners(self) -> Listeners:
        """Opens all of them or, if one fails, none. Raises KwsdError."""
        made: list[Listener] = []
        try:
            for name, settings in self._plan.settings.listeners.items():
                source = self._sources.open(settings, self._hearing[name])
                made.append(self._new_listener(name, source, self._hearing[name]))
        except BaseException:
            for listener in made:
                listener.stop(0.0)
            raise
        interval_s = self._notifier.watchdog_interval_s
        return Listeners(made, (lambda: Watchdog(interval_s)) if interval_s else None)

    def _new_listener(self, name: str, source: Source, hearing: Sequence[Effective]) -> Listener:
        return Listener(
            source,
            hearing,
            name=name,
            run=self._run,
            publish=self._bus.publish,
            armed=lambda: self._control.thresholds,
            tell_peak=self._peak,
            scores_wanted=lambda: self._bus.wants("scores"),
            audio_wanted_ms=lambda: self._bus.audio_ms,
            tail=self._tail,
            wake=self._signals.wake,
        )

    def _end_at_once(self, code: int) -> NoReturn:
        """Ends the process even if a thread is stuck in a model, where a normal exit would hang."""
        sys.stderr.flush()
        os._exit(code)

    def _check_first(self) -> Checked:
        """Reads and checks everything, and sets up the log."""
        plan = self._read_plan()
        log.setup(plan.settings.log.level, plan.settings.log.format)
        return self._checked(plan)

    def _checked(self, plan: Plan, keep: Mapping[str, Sequence[Model]] | None = None) -> Checked:
        hearing = effective_of_all(plan, keep or {})
        return Checked(plan, hearing, self._make_sinks(plan, hearing))

    def _listen(self) -> tuple[int, tuple[str, ...]]:
        """Runs from the start of the threads to their end; returns the exit code and the final message."""
        hook_before, threading.excepthook = threading.excepthook, self._failure.thread_died
        try:
            try:
                self._bus.start()
                for listener in self._listeners:
                    listener.start()
            except KwsdError as error:  # a sink that cannot be opened
                self._stopped = self._listeners.stop(0.0)
                return end_by(error)
            code, last_words = self._supervise()
            try:
                self._shut_down(last_words)
                if self._failure.error is not None:  # the last delivery may have killed its sink
                    raise self._failure.error
            except BaseException as error:
                if code == 0:
                    return end_by(error)
            return code, last_words
        finally:
            threading.excepthook = hook_before

    # While it runs.

    def _supervise(self) -> tuple[int, tuple[str, ...]]:
        """Watches until there is a reason to end; returns the exit code and the final message."""
        while True:
            self._signals.wait(self._look_s)
            try:
                if self._failure.error is not None:
                    raise self._failure.error
                if self._failure.output_closed or self._signals.stop:
                    return 0, ()
                if self._reload is not None:
                    self._go_on_reloading(self._reload)
                elif self._signals.reload and not self._listeners.changing:
                    self._signals.reload = False
                    self._begin_reloading()
                self._listeners.raise_error()
                if self._listeners.ended:
                    self._look()
                    self._drain_at_the_end()
                    return 0, ()
                self._look()
            except BaseException as error:
                return end_by(error)

    @property
    def _look_s(self) -> float:
        """How long until the next check."""
        if self._reload is not None:
            return LOOK_RELOADING_S
        look_s = LOOK_SOON_S if self._listeners.behind else LOOK_S
        if (end_s := self._control.next_end_s()) is not None:
            look_s = min(look_s, end_s - uptime_s())
        return look_s if self._watchdog is None else min(look_s, self._watchdog.period_s)

    def _look(self) -> None:
        """Checks everything once."""
        now = time.monotonic()
        asked = self._asked.count  # before the requests are carried out
        obeyed = self._obey()
        for listener in self._listeners:
            self._look_at(listener, now)
        self._peaks.listened({each.name: each.audio_s for each in self._listeners}, time.time())
        state, reason, since_s = self._listeners.state or (State.STARTING, "starting", self._began_s)
        again = obeyed and asked > self._asked.done
        self._announcer.tell(state, self._control.reason_of(state, reason), since_s, again=again)
        if obeyed:
            self._asked.finish(asked)
        for listener, error in self._listeners.newly_failed():
            logger.error("%s: ended: %s; the others continue", listener.name, error)
        if self._listeners.first_block and not self._ready:
            self._ready = True
            self._notifier.ready()
        if not self._ready and now >= self._next_extension_s:
            self._next_extension_s = now + LOOK_S
            self._notifier.extend(START_LIMIT_S)
        if self._watchdog is not None and self._listeners.lives(now):
            self._notifier.watchdog()

    def _look_at(self, listener: Listener, now: float) -> None:
        if listener.ended:
            return
        listener.step(now)
        if listener.first_block and listener not in self._introduced:
            self._introduced.add(listener)
            self._announcer.tell_words(listener, (sink.name for sink in self._bus.sinks))
        self._announcer.tell_losses(listener, now)

    def _obey(self) -> bool:
        """Carries out requests: a pause or its end; whether it is in effect."""
        self._control.expire()
        wanted = self._control.paused is not None
        for listener in self._listeners:
            if wanted == listener.paused or listener.changing or listener.ended or self._reload is not None:
                continue
            if wanted:
                listener.pause()
            else:
                listener.resume(partial(self._open_again, listener.name))
        return all(wanted == each.paused and not each.changing for each in self._listeners if not each.ended)

    def _open_again(self, name: str, found: Found) -> Source:
        return self._sources.open(self._plan.settings.listeners[name], self._hearing[name], wait=True, again=found)

    def _begin_reloading(self) -> None:
        self._notifier.reloading()
        keep = {each.name: [plan.model for plan in each.plans] for each in self._listeners}
        self._reload = Reload(
            lambda: self._checked(self._read_plan(), keep),
            lambda checked, opened: self._sources.open_changed(
                checked, self._plan.settings.listeners, self._listeners, opened
            ),
            self._signals.wake,
        )

    def _go_on_reloading(self, reload: Reload) -> None:
        """Applies the new configuration as soon as all of it is known to be valid, or logs why not."""
        try:
            checked = reload.step(time.monotonic())
            if checked is None:
                return
            self._bus.replace(checked.sinks)  # the last step that may fail
        except (KwsdError, OSError) as error:  # OSError: of a file or folder that no check has thought of
            reload.abandon()
            for line in error.lines if isinstance(error, KwsdError) else (str(error),):
                logger.error("reload rejected; keeping previous settings: %s", line)
        else:
            log.setup(checked.plan.settings.log.level, checked.plan.settings.log.format)
            self._change(checked, reload.sources)
            self._plan, self._hearing = checked.plan, checked.hearing
            logger.info("settings read again")
        self._reload = None
        self._notifier.ready()

    def _change(self, checked: Checked, sources: Mapping[str, Source]) -> None:
        """Applies a configuration that a reload has checked; nothing in it may fail."""
        after = []
        old, new = self._plan.settings.listeners, checked.plan.settings.listeners
        for name, hearing in checked.hearing.items():
            listener = self._listeners.get(name)
            if listener is not None and not (listener.ended and name in sources):
                if listener.paused and moves(old[name], new[name]):
                    listener.read_next(sources.get(name))
                listener.change(hearing, None if listener.paused else sources.get(name))
            else:
                listener = self._new_listener(name, sources[name], hearing)
                listener.start()
            after.append(listener)
        for listener in self._listeners:
            if listener not in after:
                listener.stop(STOP_LISTENER_S)
        self._listeners.replace(after)
        self._introduced.intersection_update(after)

    def _make_sinks(self, plan: Plan, hearing: Mapping[str, Sequence[Effective]]) -> list[Sink]:
        answers, control = self._answers, self._control
        services = Services(
            answers.hello,
            answers.snapshot,
            self._failure.output_broke,
            control.ask,
            answers.report,
            Pipelines(*next((settings, hearing[name]) for name, settings in plan.settings.listeners.items())),
        )
        return [
            *registry.create(plan.settings.sinks or (), services),
            *servers.create(plan.settings.servers, services),
        ]

    # The end.

    def _drain_at_the_end(self) -> None:
        """Gives each sink its time to deliver the events queued at the end of a file, unless a signal cuts it short."""
        began_s = time.monotonic()
        while not self._signals.stop and not self._failure.output_closed and self._failure.error is None:
            now = time.monotonic()
            if not any(sink.counters["queued"] and now < began_s + sink.drain_limit_s for sink in self._bus.sinks):
                return
            self._signals.wait(0.02)

    def _shut_down(self, last_words: tuple[str, ...]) -> None:
        deadline_s = time.monotonic() + STOP_S
        self._asked.close()
        try:
            self._notifier.stopping()
            if self._reload is not None:
                self._reload.abandon()
            self._stopped = self._listeners.stop(0.3) and not (self._reload is not None and self._reload.checking)
            reason = why(self._signals.stop, last_words)
            self._announcer.tell(State.STOPPING, reason, time.time(), log=self._listeners.first_block)
        finally:
            self._bus.drain(deadline_s)
            self._bus.stop()
        if self._listeners.first_block or not last_words:
            self._announcer.tell_totals(self._listeners.heard.audio_s, self._run.detections, self._bus.counters)

    def _peak(self, peak: PeakEvent) -> None:
        logger.debug("peak: %s %.2f of %.2f, %s", peak.label, peak.score, peak.threshold, peak.outcome)
        self._peaks.take(peak.listener, peak.label, peak.score, peak.outcome, time.time())
        self._bus.publish(peak)
