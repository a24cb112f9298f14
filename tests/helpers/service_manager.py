"""A service manager, as far as a service can tell."""

import socket
from pathlib import Path


class Manager:
    """The service manager's end of sd_notify."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._socket.setblocking(False)
        self.said: list[str] = []

    def listen(self) -> list[str]:
        """All that was said so far."""
        try:
            while True:
                self.said += self._socket.recv(4096).decode().splitlines()
        except BlockingIOError:
            return self.said

    def status(self) -> str:
        """The last STATUS."""
        return next((line.removeprefix("STATUS=") for line in reversed(self.listen()) if line[:7] == "STATUS="), "")

    def close(self) -> None:
        self._socket.close()
