"""An HTTP server that sends sound without end, at its own pace, and fails in all the ways that a network knows."""

import socket
import struct
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr

PIECE_S = 0.05


def wav_header(rate_hz: int) -> bytes:
    """Of 16-bit mono WAV that does not know where it ends."""
    form = struct.pack("<4sI4s4sIHHIIHH", b"RIFF", 0xFFFFFFFF, b"WAVE", b"fmt ", 16, 1, 1, rate_hz, 2 * rate_hz, 2, 16)
    return form + struct.pack("<4sI", b"data", 0xFFFFFFFF)


class StreamServer:
    """Serves a recording again and again on a port of 127.0.0.1 that stays the same.

    Attributes:
        stalled: set, nothing is sent, and connections stay open.
        rate_hz: of the streams that begin from now on.
        connections: how many there were.
        requests: the first line of each, and its headers.
    """

    def __init__(self, recording: Path, rate_hz: int) -> None:
        self._samples, self._recorded_hz = soundfile.read(recording, dtype="float32")
        self.rate_hz, self.stalled = rate_hz, threading.Event()
        self.requests: list[str] = []
        self._open: list[socket.socket] = []
        self._listener: socket.socket | None = None
        self.port = 0
        self.come_back()

    def __enter__(self) -> "StreamServer":
        return self

    def __exit__(self, *_: Any) -> None:
        self.go_away()

    def url(self, rest: str = "/", user_info: str = "") -> str:
        return f"http://{user_info}127.0.0.1:{self.port}{rest}"

    def come_back(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def go_away(self) -> None:
        """Refuses connections, and cuts those off that there are."""
        if self._listener is not None:
            self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._listener = None
        self.break_off()

    def break_off(self) -> None:
        """Ends the connections that there are."""
        while self._open:
            connection = self._open.pop()
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:  # the other side was faster
                continue

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            self._open.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            self.requests.append(connection.recv(4096).decode())
            head = b"HTTP/1.0 200 OK\r\nContent-Type: audio/wav\r\n\r\n"
            sound = soxr.resample(self._samples, self._recorded_hz, self.rate_hz)
            pcm = np.tile((sound * 32767).astype("<i2"), 2)
            count, at, rate_hz = round(PIECE_S * self.rate_hz), 0, self.rate_hz
            try:
                connection.sendall(head + wav_header(rate_hz))
                next_s = time.monotonic()
                while True:
                    if self.stalled.is_set():
                        next_s = time.monotonic()
                    else:
                        connection.sendall(pcm[at : at + count].tobytes())
                        at = (at + count) % (len(pcm) // 2)
                    next_s += PIECE_S
                    time.sleep(max(0.0, next_s - time.monotonic()))
            except OSError:  # the other side has gone, or `break_off` has come
                return
