"""The settings of a socket."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

from kwsd.sinks.settings import SinkSettings
from kwsd.validation.keys import REQUIRED, key
from kwsd.validation.kinds import SOCKET_PATH_MAX_BYTES, Boolean, FilePath, Text, Whole

_SOCKET_PATH = FilePath(f"a path of at most {SOCKET_PATH_MAX_BYTES} bytes", max_bytes=SOCKET_PATH_MAX_BYTES)


def runtime_path() -> str | None:
    """The path of the socket under systemd, which has created the folder; else None."""
    folders = os.environ.get("RUNTIME_DIRECTORY")
    return os.path.join(folders.split(":")[0], "kwsd.sock") if folders else None  # noqa: PTH118


@dataclass(frozen=True)
class SocketSettings(SinkSettings):
    """A sink of type ``socket``."""

    type: ClassVar[str] = "socket"
    files: ClassVar[tuple[str, ...]] = ("path",)

    path: str = key(_SOCKET_PATH, REQUIRED, "Path of the socket.")
    group: str | None = key(Text("a group name"), None, "Members of this group may connect; only the owner when null.")
    control: bool = key(Boolean(), True, "Whether clients may pause kwsd and arm words.")
    max_clients: int = key(Whole(1, 4096), 256, "Connections beyond this number are refused.", unit="clients")

    @classmethod
    def from_environment(cls) -> dict[str, Any]:
        path = runtime_path()
        return {} if path is None else {"path": path}

    def check(self) -> Iterable[tuple[str, str]]:
        from kwsd.errors import ConfigError
        from kwsd.sinks.socket.socket_file import check_place, group_id

        found: list[tuple[str, str]] = []
        try:
            check_place(self.path)
        except ConfigError as error:
            found += (("path", fault) for fault in error.faults)
        try:
            if self.group is not None:
                group_id(self.path, self.group)
        except ConfigError as error:
            found += (("group", fault) for fault in error.faults)
        return found
