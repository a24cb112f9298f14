"""A small RTSP server (RFC 2326), such as a camera has: L16 sound over RTP in the same connection (RFC 3551, 10.12)."""

import socket
import struct
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

PACKET_S = 0.02
PAYLOAD_TYPE = 96
SESSION = "5f2c9a1e"


class RtspServer:
    """Serves a recording again and again at ``rtsp://127.0.0.1:PORT/live``, at its own pace, to one client or more.

    Attributes:
        methods: of the requests, in order.
    """

    def __init__(self, recording: Path) -> None:
        samples, self._rate_hz = soundfile.read(recording, dtype="int16")
        self._packets = np.array_split(samples.astype(">i2"), round(len(samples) / (PACKET_S * self._rate_hz)))
        self.methods: list[str] = []
        self._open: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> "RtspServer":
        return self

    def __exit__(self, *_: Any) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.break_off()

    def break_off(self) -> None:
        """Ends the connections that there are."""
        while self._open:
            try:
                self._open.pop().shutdown(socket.SHUT_RDWR)
            except OSError:  # the other side was faster
                continue

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._open.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        stop = threading.Event()
        with connection, connection.makefile("rb") as lines:
            try:
                while request := lines.readline().decode():
                    headers: dict[str, str] = {}
                    while line := lines.readline().decode().strip():
                        name, _, value = line.partition(":")
                        headers[name.lower()] = value.strip()
                    self._answer(connection, request.split()[0], headers, stop)
            except OSError:  # the other side has gone, or `break_off` has come
                return
            finally:
                stop.set()

    def _answer(self, connection: socket.socket, method: str, headers: dict[str, str], stop: threading.Event) -> None:
        self.methods.append(method)
        status, more, body = "200 OK", f"Session: {SESSION}\r\n", ""
        if method == "OPTIONS":
            more = "Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN\r\n"
        elif method == "DESCRIBE":
            body = (
                "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=room\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\n"
                f"m=audio 0 RTP/AVP {PAYLOAD_TYPE}\r\na=rtpmap:{PAYLOAD_TYPE} L16/{self._rate_hz}/1\r\n"
                "a=control:track1\r\n"
            )
            more = f"Content-Type: application/sdp\r\nContent-Length: {len(body)}\r\n"
        elif method == "SETUP" and "TCP" not in headers["transport"]:
            status = "461 Unsupported Transport"
        elif method == "SETUP":
            more += "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n"
        connection.sendall(f"RTSP/1.0 {status}\r\nCSeq: {headers['cseq']}\r\n{more}\r\n{body}".encode())
        if method == "PLAY":
            threading.Thread(target=self._play, args=(connection, stop), daemon=True).start()

    def _play(self, connection: socket.socket, stop: threading.Event) -> None:
        number, at, next_s = 0, 0, time.monotonic()
        while not stop.is_set():
            packet = self._packets[number % len(self._packets)]
            header = struct.pack(">BBHII", 0x80, PAYLOAD_TYPE, number & 0xFFFF, at & 0xFFFFFFFF, 0x6B777364)
            payload = header + packet.tobytes()
            try:
                connection.sendall(b"$\x00" + struct.pack(">H", len(payload)) + payload)
            except OSError:  # the other side has gone
                return
            number, at, next_s = number + 1, at + len(packet), next_s + len(packet) / self._rate_hz
            time.sleep(max(0.0, next_s - time.monotonic()))
