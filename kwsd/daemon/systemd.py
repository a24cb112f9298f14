"""Messages to a service manager, and when kwsd may claim to be alive.

Nothing here starts a thread. The protocol is sd_notify(3): datagrams of ``KEY=value`` lines to $NOTIFY_SOCKET.
"""

import logging
import os
import socket
import time
from collections.abc import Mapping

from kwsd.status import UNHEARD, State

log = logging.getLogger(__name__)

SEND_LIMIT_S = 1.0
"""How long a manager that does not read may block the caller."""


class Notifier:
    """Notifies systemd; does nothing without it ($NOTIFY_SOCKET not set).

    Args:
        environ: where NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID are looked up.

    Attributes:
        watchdog_interval_s: the interval in which a sign of life is expected, in seconds; None if none is.
    """

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        self.watchdog_interval_s = _watchdog_interval_s(environ)
        self._address = _address(environ.get("NOTIFY_SOCKET", ""))
        self._failed = False
        if self._address is not None:
            # A single one, since there may be no descriptor left for another when it matters. It is not connected, so
            # a manager that re-executed itself is found again.
            self._channel = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
            self._channel.settimeout(SEND_LIMIT_S)

    def close(self) -> None:
        if self._address is not None:
            self._channel.close()

    def ready(self) -> None:
        """Start-up, or a reload, is complete."""
        self._send("READY=1")

    def status(self, text: str) -> None:
        """The status line of ``systemctl status``."""
        # A line break would begin another assignment: a device's name must not be able to send READY=1.
        self._send(f"STATUS={' '.join(text.split())}")

    def watchdog(self) -> None:
        """A sign of life; see Watchdog for when it is due."""
        self._send("WATCHDOG=1")

    def stopping(self) -> None:
        self._send("STOPPING=1")

    def reloading(self) -> None:
        """A reload begins; ready() ends it. Type=notify-reload (systemd 253) requires the time stamp."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def extend(self, seconds: float) -> None:
        """Extends the current time limit to ``seconds`` from now; to be repeated before then.

        For start-up only: systemd extends the watchdog's time limit along with the start's.
        """
        self._send(f"EXTEND_TIMEOUT_USEC={round(seconds * 1_000_000)}")

    def _send(self, message: str) -> None:
        if self._address is None:
            return
        try:
            # A device may be a file whose name is not UTF-8.
            self._channel.sendto(message.encode(errors="replace"), self._address)
            self._failed = False
        except OSError as error:
            if not self._failed:
                log.warning("service manager not reached: %s", error)
            self._failed = True


class Watchdog:
    """Decides when to send a sign of life. Pure: the caller passes time and counts.

    What counts is progress since the last sign, not that a thread still runs: a process whose audio or scores stopped
    is killed one interval later.

    Args:
        interval_s: Notifier.watchdog_interval_s.

    Attributes:
        period_s: the time between signs.
    """

    def __init__(self, interval_s: float) -> None:
        # sd_watchdog_enabled(3) advises half of the interval; a quarter leaves room for a slow caller.
        self.period_s = interval_s / 4
        self._next_s = float("-inf")
        self._audio_samples = 0
        self._scores = 0
        self._recovery_steps = 0

    def due(self, now: float, audio_samples: int, scores: int, state: State, recovery_steps: int) -> bool:
        """Whether to say WATCHDOG=1 now.

        Args:
            now: a monotonic clock, in seconds.
            audio_samples: samples captured since start; never decreases.
            scores: strides scored since start; never decreases.
            state: what kwsd is doing.
            recovery_steps: steps of the recovery loop since start; never decreases.
        """
        heard = audio_samples != self._audio_samples and scores != self._scores
        recovered = state in UNHEARD and recovery_steps != self._recovery_steps
        if now < self._next_s or not (heard or recovered):
            return False
        self._next_s = now + self.period_s
        self._audio_samples, self._scores, self._recovery_steps = audio_samples, scores, recovery_steps
        return True


def _address(name: str) -> str | None:
    """$NOTIFY_SOCKET as an address; ``@`` stands for the NUL of Linux's abstract names."""
    if name.startswith("@"):
        return "\0" + name[1:]
    if name.startswith("/"):
        return name
    if name:
        log.warning("NOTIFY_SOCKET: %r is neither a path nor an abstract name; not used", name)
    return None


def _watchdog_interval_s(environ: Mapping[str, str]) -> float | None:
    if environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None  # meant for a parent of ours
    try:
        interval_us = int(environ.get("WATCHDOG_USEC", "0"))
    except ValueError:
        log.warning("WATCHDOG_USEC: %r is not a number; ignored", environ["WATCHDOG_USEC"])
        return None
    return interval_us / 1_000_000 if interval_us > 0 else None
