"""Sources of a sound server (PulseAudio, PipeWire), which ALSA hides behind one device called ``pulse``.

Opening that device opens the source named by the variable PULSE_SOURCE, else the server's default. Only `pactl` can
list the sources; without it, or without a server, there are none.
"""

import contextlib
import os
import re
import subprocess
from collections.abc import Iterator
from typing import NamedTuple

DOOR = "pulse"
"""The name of ALSA's device that leads to the sound server."""

LIMIT_S = 2.0  # a frozen server does not answer at all
_VARIABLE = "PULSE_SOURCE"
_ENGLISH = "C.UTF-8"
_SOURCE = re.compile(r"^Source #(\d+)\n((?:.*\n(?!Source #))*)", re.MULTILINE)
_FIELD = re.compile(r"^\t(Name|Description|Sample Specification|Monitor of Sink): (.*)$", re.MULTILINE)
_DEFAULT = re.compile(r"^Default Source: (.*)$", re.MULTILINE)
_SPECIFICATION = re.compile(r"\S+ (\d+)ch (\d+)Hz")


class PulseSource(NamedTuple):
    """A source as described by its server.

    Attributes:
        number: the server's number for it, never reused.
        name: unique and lasting, such as ``alsa_input.usb-Logitech_C920-02.analog-stereo``.
        description: for people, such as ``C920 Analog Stereo``.
        channels, rate_hz: its own; the server mixes and resamples to anything else.
        is_monitor: whether it is the monitor of a loudspeaker.
    """

    number: int
    name: str
    description: str
    channels: int
    rate_hz: int
    is_monitor: bool


def list_sources() -> list[PulseSource]:
    """The sources of the sound server that this process would reach; empty if none answers."""
    # Not JSON: there, pactl 16 turns a description that is not ASCII into "(null)".
    return parse(_pactl("list", "sources"))


def default_source() -> PulseSource | None:
    """The source that opening the device ``pulse`` opens; None if unknown."""
    name = os.environ.get(_VARIABLE) or "".join(_DEFAULT.findall(_pactl("info")))
    return next((source for source in list_sources() if source.name == name), None) if name else None


def _pactl(*question: str) -> str:
    """The output of pactl; empty if it or the server is missing or does not answer."""
    try:
        done = subprocess.run(
            ["pactl", *question],
            env={**os.environ, "LC_ALL": _ENGLISH},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=LIMIT_S,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.decode("utf-8", "replace")


def parse(listed: str) -> list[PulseSource]:
    """Parses the English output of ``pactl list sources``."""
    found = []
    for source in _SOURCE.finditer(listed):
        fields = dict(_FIELD.findall(source[2]))
        numbers = _SPECIFICATION.fullmatch(fields.get("Sample Specification", ""))
        if numbers is None or "Name" not in fields:
            continue
        is_monitor = fields.get("Monitor of Sink", "n/a") != "n/a"
        description = fields.get("Description", "")
        channels, rate_hz = int(numbers[1]), int(numbers[2])
        found.append(PulseSource(int(source[1]), fields["Name"], description, channels, rate_hz, is_monitor))
    return found


@contextlib.contextmanager
def leading_to(source: str | None) -> Iterator[None]:
    """Makes the device ``pulse`` lead to this source meanwhile; None leaves it to the user's own PULSE_SOURCE."""
    before = os.environ.get(_VARIABLE)
    if source is not None:
        os.environ[_VARIABLE] = source
    try:
        yield
    finally:
        if source is not None:
            if before is None:
                del os.environ[_VARIABLE]
            else:
                os.environ[_VARIABLE] = before


class Watch:
    """Reports when a source is gone, because its server then silently moves clients to another source.

    ``pactl subscribe``, a child process, prints what happens at the server; there is no polling.

    Args:
        name: the source that is open.
    """

    def __init__(self, name: str) -> None:
        self._child = subprocess.Popen(
            ["pactl", "subscribe"],
            env={**os.environ, "LC_ALL": _ENGLISH},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert self._child.stdout is not None
        self._fd = self._child.stdout.fileno()
        os.set_blocking(self._fd, False)
        self._rest = b""
        numbers = {source.name: source.number for source in list_sources()}
        self._gone = bool(numbers) and name not in numbers  # the stream deals with a server that does not answer
        self._event = b"Event 'remove' on source #%d" % numbers.get(name, -1)

    def gone(self) -> bool:
        """Whether the source has gone since; does not wait."""
        with contextlib.suppress(BlockingIOError):
            *lines, self._rest = (self._rest + os.read(self._fd, 1 << 16)).split(b"\n")
            self._gone = self._gone or self._event in lines
        return self._gone

    def close(self) -> None:
        self._child.kill()
        self._child.communicate()
