"""What the settings of all servers share, and the address on which a server listens."""

import ipaddress
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

from kwsd.validation.kinds import Kind

_ADDRESS = re.compile(r"(?P<scheme>[a-z]+://)?(?P<host>\[[0-9A-Fa-f:.]+\]|[0-9.]+|localhost):(?P<port>\d{1,5})")


class Address(NamedTuple):
    """An IP address and a port, with an optional scheme."""

    host: str
    port: int
    scheme: str = ""

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        return ipaddress.ip_address(self.host).is_loopback

    def overlaps(self, other: "Address") -> bool:
        """Whether one machine cannot listen on both."""
        mine, its = ipaddress.ip_address(self.host), ipaddress.ip_address(other.host)
        if self.port != other.port or mine.version != its.version:  # IPv6 sockets here take no IPv4
            return False
        return mine == its or mine.is_unspecified or its.is_unspecified

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}{host}:{self.port}"


class Listen(Kind):
    """An address to listen on.

    Args:
        scheme: its beginning, such as ``tcp://``; may be empty.
    """

    def __init__(self, scheme: str = "") -> None:
        self._scheme = scheme

    @property
    def allowed(self) -> str:
        return f"{self._scheme}ADDRESS:PORT, with an IP address, such as {self._scheme}127.0.0.1:8077"

    def accept(self, value: Any) -> Address:
        match = _ADDRESS.fullmatch(value) if isinstance(value, str) else None
        if match is None or (match["scheme"] or "") != self._scheme:
            raise ValueError
        host = "127.0.0.1" if match["host"] == "localhost" else match["host"].strip("[]")
        port = int(match["port"])
        ipaddress.ip_address(host)
        if not 1 <= port <= 65_535:
            raise ValueError(f"there is no port {port}")
        return Address(host, port, self._scheme)


@dataclass(frozen=True)
class ServerSettings:
    """A section of a configuration that enables a server. Each kind has a subclass, named in `kwsd.servers.registry`.

    Attributes:
        type: the section's name.
        listen: where it listens.
    """

    type: ClassVar[str] = ""
    listen: Address

    @classmethod
    def faults(cls, values: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
        """Faults of values that are valid by themselves but not together: pairs of a key and its fault."""
        return ()

    def check(self) -> Iterable[tuple[str, str]]:
        """What would be wrong at start, on this machine and as this user: pairs of a key and its fault."""
        return ()
