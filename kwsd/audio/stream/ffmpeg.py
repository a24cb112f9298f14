"""ffmpeg as a child: an address in, 16-bit samples of one channel out."""

import contextlib
import fcntl
import os
import shutil
import subprocess
import termios
import time
from array import array

import numpy as np
from numpy.typing import NDArray

from kwsd.audio.child import ChildProcess
from kwsd.audio.microphone.inlet import Inlet, Opened, RawBlock
from kwsd.audio.microphone.wire import PIPE_BYTES, widen
from kwsd.audio.source import Gap
from kwsd.audio.stream.address import StreamAddress
from kwsd.errors import UnavailableError

MEND = "Install it: sudo apt-get install ffmpeg"
SAID_BYTES = 4096
# Not file: a server's reply, such as a playlist, must not open files here.
PROTOCOLS = (
    "pipe,tcp,udp,udplite,tls,http,https,httpproxy,rtp,srtp,rtsp,rtmp,rtmps,rtmpt,srt,rist,mmsh,mmst,ftp,sftp,"
    "crypto,data"
)
SAMPLE_BYTES = 2


class Ffmpeg(ChildProcess):
    """A running ffmpeg.

    The address is passed on standard input, as a list of one (ffmpeg's concat format), because any user of the machine
    can read arguments. ffmpeg ends with this process, however that ends.

    Args:
        address: the address to open.
        rate_hz: of the samples wanted; the stream is resampled from any rate, even if it changes.
        channel: which channel, counted from 0.

    Attributes:
        samples_from: the pipe with its samples; its reader has a copy of the descriptor.

    Raises:
        UnavailableError: ffmpeg is not installed.
        OSError: the process cannot be started.
    """

    def __init__(self, address: StreamAddress, rate_hz: int, channel: int) -> None:
        program = find()
        command = [program, "-nostdin", "-hide_banner", "-nostats", "-v", "error"]
        command += ["-f", "concat", "-safe", "0", "-protocol_whitelist", f"{PROTOCOLS},{address.scheme}"]
        command += ["-i", "pipe:0", "-map", "0:a:0", "-af", f"pan=mono|c0=c{channel}"]
        command += ["-ar", str(rate_hz), "-f", "s16le", "-flush_packets", "1", "pipe:1"]
        if setpriv := shutil.which("setpriv"):
            command = [setpriv, "--pdeathsig", "KILL", "--", *command]
        super().__init__(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0)
        pipes = self._process.stdin, self._process.stdout, self._process.stderr
        assert all(pipes)
        stdin, stdout, stderr = (pipe.fileno() for pipe in pipes if pipe is not None)
        self.samples_from, self._said_from, self._said = stdout, stderr, b""
        widen(stdout, PIPE_BYTES)
        os.set_blocking(stderr, False)
        quoted = address.text.replace("'", "'\\''")
        with contextlib.suppress(BrokenPipeError):  # it has ended already, and `ended` says why
            os.write(stdin, f"ffconcat version 1.0\nfile '{quoted}'\n".encode())
        if self._process.stdin is not None:
            self._process.stdin.close()

    def waiting(self) -> int:
        """How many samples it has written that have not been read yet."""
        return waiting_bytes(self.samples_from) // SAMPLE_BYTES

    def ended(self) -> str | None:
        """How it ended, in words and without the address; None while it runs. Call it now and then."""
        end = self.end()  # before its messages are read, so that the last one is among them
        with contextlib.suppress(BlockingIOError):
            while data := os.read(self._said_from, 1 << 16):
                self._said = (self._said + data)[-SAID_BYTES:]
        if end is None:
            return None
        by_itself, number = end
        if not by_itself:
            return f"ffmpeg was ended by signal {number}"
        return "the stream ended" if number == 0 else f"ffmpeg: {self._why(number)}"

    def _why(self, code: int) -> str:
        """The end of its last line that names its input; other lines may show the address."""
        lines = self._said.decode(errors="replace").splitlines()
        reasons = [line.removeprefix("pipe:0: ").strip().rstrip(".") for line in lines if line.startswith("pipe:0: ")]
        if reasons:
            return reasons[-1]
        if any("matches no streams" in line for line in lines):
            return "there is no sound in it"
        return f"it ended with {code}"


def find() -> str:
    """The path of the program. Raises UnavailableError if it is not installed."""
    if (program := shutil.which("ffmpeg")) is None:
        raise UnavailableError("ffmpeg", "it is not installed, and streams are read through it", MEND)
    return program


def waiting_bytes(pipe: int) -> int:
    """The capacity of a pipe."""
    count = array("i", [0])
    fcntl.ioctl(pipe, termios.FIONREAD, count)
    return count[0]


class RawInlet(Inlet):
    """The samples of one ffmpeg after another, in blocks of one size.

    Args:
        rate_hz: of the samples.
        frames: samples in a block.
    """

    def __init__(self, rate_hz: int, frames: int) -> None:
        super().__init__()
        self._rate_hz, self._frames = rate_hz, frames
        self._fresh = False

    def waiting(self) -> int:
        """How many samples wait behind the current block; for the reading thread."""
        return 0 if self._pipe is None else waiting_bytes(self._pipe) // SAMPLE_BYTES

    def _begin(self) -> None:
        self._message = memoryview(bytearray(SAMPLE_BYTES * self._frames))
        self._fresh = True

    def _understood(self) -> RawBlock | Gap | Opened:
        samples: NDArray[np.int16] = np.frombuffer(self._message, "<i2")
        self.received += len(samples)
        block = RawBlock(samples, time.time(), time.monotonic())
        if not self._fresh:
            return block
        self._held, self._fresh = block, False
        return Opened(self._rate_hz)
