"""Runs a program for each event."""

import logging
import signal
import threading
from typing import Self

from kwsd.errors import ConfigError
from kwsd.events import DetectionEvent, Event, json_line
from kwsd.sinks.exec.command import Command
from kwsd.sinks.exec.settings import EVERY_OTHER_WORD, ExecSettings
from kwsd.sinks.sink import Services, Sink

log = logging.getLogger(__name__)


class ExecSink(Sink):
    """Runs the command of each word, `at_once` of them at a time, in the order of events.

    An event counts as sent if its command exited with 0, else as dropped. A command that takes longer than
    ``timeout_s`` is terminated. After each command, everything left in its process group is terminated too.
    """

    name = "exec"
    queue_max = 16

    def __init__(self, settings: ExecSettings) -> None:
        super().__init__(settings, settings.only)
        self.drain_limit_s = settings.timeout_s * self.queue_max
        self._running: set[Command] = set()
        self._starting = threading.Lock()  # held while a command is started and added to those running

    @classmethod
    def create(cls, settings: ExecSettings, _services: Services) -> Self:
        if faults := [f"sinks: exec: {key}: {text}" for key, text in settings.check()]:
            raise ConfigError(*faults)
        return cls(settings)

    def put(self, event: Event) -> None:
        if isinstance(event, DetectionEvent) and self._words(event.label):
            super().put(event)

    def stop(self, join_s: float = 0.2) -> None:
        super().stop(join_s)
        if self._starting.acquire(timeout=join_s):
            for command in list(self._running):
                command.signal(signal.SIGKILL)
            self._starting.release()

    def run(self) -> None:
        """Delivers in this thread, and in others if several commands may run at the same time."""
        for number in range(2, self.settings.at_once + 1):
            threading.Thread(target=self._assist, name=f"sink-{self.name}-{number}", daemon=True).start()
        super().run()

    def _assist(self) -> None:
        try:
            super().run()
        except BaseException as error:
            if self.on_death is None:
                raise
            self.on_death(self, error)

    def deliver(self, event: Event) -> bool:
        assert isinstance(event, DetectionEvent), event
        words = self._words(event.label)
        if (command := self._start(words, event)) is None:
            return False
        try:
            code = command.wait(self.settings.timeout_s, self._stopping.is_set)
        finally:
            self._running.discard(command)
        if code is None and not self._stopping.is_set():
            log.warning("%s took longer than %g s and was ended", words[0], self.settings.timeout_s)
        elif code:
            said = f": {command.last_line}" if command.last_line else ""
            log.warning("%s ended with %d%s", words[0], code, said)
        return code == 0

    def _start(self, words: tuple[str, ...], event: DetectionEvent) -> Command | None:
        """The running command; None if it cannot be run, which is logged, or the sink is to stop."""
        message = event.to_dict()
        with self._starting:
            if self._stopping.is_set():
                return None
            try:
                command = Command(words, message, json_line(message))
            except (OSError, ValueError) as error:
                log.warning("%s cannot be run: %s", words[0], getattr(error, "strerror", None) or error)
                return None
            self._running.add(command)
            return command

    def _words(self, label: str) -> tuple[str, ...]:
        """The command of a word; empty for none."""
        commands = self.settings.commands
        found: tuple[str, ...] = commands.get(label, commands.get(EVERY_OTHER_WORD, ()))
        return found
