"""The process in which PortAudio runs, seen from outside: started, read from, and discarded.

Nothing here waits for PortAudio: if it hangs, spins or crashes, it does so in the child
(`kwsd.audio.microphone.portaudio`), and SIGKILL ends it.
"""

import contextlib
import fcntl
import json
import logging
import os
import select
import signal
import subprocess
import sys
import termios
import time
from array import array
from collections.abc import Collection
from pathlib import Path
from typing import Any, NamedTuple

from kwsd.audio.child import ChildProcess
from kwsd.audio.microphone.devices import CannotOpenError, Device, NoDeviceError
from kwsd.audio.microphone.wire import PIPE_BYTES, PREAMBLE, widen
from kwsd.errors import ConfigError, KwsdError, UnavailableError

log = logging.getLogger(__name__)

PROGRAM = Path(__file__).with_name("portaudio.py")
ALSA_MEND = "Look at ALSA's configuration (~/.asoundrc, /etc/asound.conf, $ALSA_CONFIG_PATH)."
SERVER_MEND = "Restart it: systemctl --user restart pipewire pipewire-pulse wireplumber (or pulseaudio)."


class Child(ChildProcess):
    """A running `kwsd.audio.microphone.portaudio`.

    Args:
        role: ``devices`` or ``capture``.
        settings: its arguments; JSON.
        samples_to: the write end of a pipe for samples.

    Attributes:
        reports_from: a descriptor that is readable when there are reports, or when there will be no more.

    Raises:
        OSError: the process cannot be started.
    """

    def __init__(self, role: str, settings: dict[str, Any], samples_to: int | None = None) -> None:
        self._unread = b""
        # -P: do not import from the working folder.
        command = [sys.executable, "-I" if sys.flags.isolated else "-P", str(PROGRAM), role]
        with contextlib.ExitStack() as on_error:
            self.reports_from, reports_to = os.pipe()
            on_error.callback(os.close, self.reports_from)
            os.set_blocking(self.reports_from, False)
            settings = {**settings, "reports_to": reports_to}
            if samples_to is not None:
                settings["samples_to"] = samples_to
            try:
                super().__init__(
                    [*command, json.dumps(settings)],
                    stdin=subprocess.PIPE,  # never written to; closing it ends the child
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    pass_fds=[end for end in (reports_to, samples_to) if end is not None],
                )
            finally:
                os.close(reports_to)
            on_error.pop_all()

    def reports(self) -> list[dict[str, Any]]:
        """Its reports since the last call."""
        with contextlib.suppress(BlockingIOError):
            while data := os.read(self.reports_from, 1 << 16):
                self._unread += data
        *lines, self._unread = self._unread.split(b"\n")
        return [json.loads(line) for line in lines]

    def ended(self) -> str | None:
        """How it ended, in words; None while it runs."""
        if (end := self.end()) is None:
            return None
        by_itself, number = end
        if by_itself:
            return f"the capture process ended with {number}"
        return f"the audio library crashed ({signal.strsignal(number)})"

    def kill(self) -> None:
        super().kill()
        os.close(self.reports_from)


class Capture:
    """A child that opens a device, however long that takes, and captures from it until it goes away.

    Args:
        wanted: the fields of `kwsd.audio.microphone.portaudio.Wanted`.

    Attributes:
        samples_from: the pipe with its blocks; its reader has a copy of the descriptor.
        opened: the device's name; None until it is open.
        failure: why the last attempt to open it failed.
        ended: how it ended, in words; None while it runs.
        overruns: blocks that did not fit into the pipe, and losses reported by PortAudio.
    """

    def __init__(self, wanted: dict[str, Any]) -> None:
        self.opened: str | None = None
        self.failure: KwsdError | None = None
        self.ended: str | None = None
        self.overruns = 0
        self._last_words: str | None = None
        self._rate_hz: int = wanted["rate_hz"]
        self._child: Child | None = None
        try:
            with contextlib.ExitStack() as on_error:
                self.samples_from, samples_to = os.pipe()
                on_error.callback(os.close, self.samples_from)
                try:
                    widen(samples_to, PIPE_BYTES)
                    self._child = Child("capture", wanted, samples_to)
                finally:
                    os.close(samples_to)
                on_error.pop_all()
        except OSError as error:  # out of descriptors, processes or memory at the moment
            self.failure = CannotOpenError("microphone", f"no process can be started ({error.strerror})")
            self.ended = str(self.failure)

    def usage(self) -> tuple[float, float]:
        """User and system time, in seconds, and resident memory, in MiB."""
        return self._child.usage() if self._child else (0.0, 0.0)

    def waiting_s(self) -> float:
        """How much audio written by the child has not been read yet; headers of blocks count as samples."""
        if self._child is None:
            return 0.0
        count = array("i", [0])
        fcntl.ioctl(self.samples_from, termios.FIONREAD, count)
        return max(0, count[0] - PREAMBLE.size) / 2 / self._rate_hz

    def step(self) -> bool:
        """Processes the child's reports, and its end; returns whether there were any."""
        if self._child is None:
            return False
        ended = self._child.ended()  # before the reports, so that its last one is among them
        reports = self._child.reports()
        for report in reports:
            if "failed" in report:
                self.failure = error_of(report["failed"])
            elif "opened" in report:
                (self.opened, self._rate_hz), self.failure = report["opened"], None
                log.debug("device %s is open at %d Hz", self.opened, self._rate_hz)
            self.overruns = report.get("overruns", self.overruns)
            self._last_words = report.get("ended", self._last_words)
        if ended is not None:
            self.ended = self._last_words or ended
        return bool(reports)

    def kill(self) -> None:
        if self._child:
            self._child.kill()
            os.close(self.samples_from)


def error_of(report: dict[str, Any]) -> KwsdError:
    """The error that `kwsd.audio.microphone.portaudio.described` put into JSON."""
    if report["kind"] == "config":
        return ConfigError(*report["faults"])
    kinds = {"absent": NoDeviceError, "refused": CannotOpenError}
    return kinds.get(report["kind"], UnavailableError)(report["what"], report["why"], report["mend"])


class Survey(NamedTuple):
    """What PortAudio reports about this machine.

    Attributes:
        version: PortAudio's version text; empty if it failed before that.
        devices: those with inputs, and the sound server's sources.
        rates_hz: the common rates at which each opens; None if it was not asked or did not answer.
        fault: why anything is missing.
    """

    version: str
    devices: list[Device]
    rates_hz: list[list[int] | None]
    fault: KwsdError | None


def survey(limit_s: float, rates_of: Collection[str] | None = ()) -> Survey:
    """Asks PortAudio, for at most ``limit_s`` seconds.

    Args:
        rates_of: names of the devices whose rates are wanted, which requires opening them; None for all.
    """
    child = Child("devices", {"rates_of": None if rates_of is None else list(rates_of)})
    version, devices, rates_hz = "", list[Device](), list[list[int] | None]()
    fault: KwsdError | None = None
    wakes = select.poll()
    wakes.register(child.reports_from, select.POLLIN)
    deadline_s, done = time.monotonic() + limit_s, False
    try:
        while not done:
            wakes.poll(max(0.0, deadline_s - time.monotonic()) * 1000)
            ended = child.ended()  # before the reports, so that its last one is among them
            for report in child.reports():
                version = report.get("version", version)
                if "devices" in report:
                    devices = [Device(**row) for row in report["devices"]]
                    rates_hz = [None] * len(devices)
                for position, rates in report.get("rates", ()):
                    rates_hz[position] = rates
                fault = error_of(report["failed"]) if "failed" in report else None
                done = "done" in report or fault is not None
            if not done and ended is not None:
                fault, done = UnavailableError("sound system", ended, ALSA_MEND), True
            elif not done and time.monotonic() >= deadline_s:
                why = f"no answer within {limit_s:g} s: the sound server hangs"
                fault, done = UnavailableError("sound system", why, SERVER_MEND), True
    finally:
        child.kill()
    return Survey(version, devices, rates_hz, fault)
