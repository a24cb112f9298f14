"""The settings of the Wyoming server."""

from dataclasses import dataclass
from typing import ClassVar

from kwsd.servers.settings import Address, Listen, ServerSettings
from kwsd.validation.keys import key

DEFAULT = Address("127.0.0.1", 10_400, "tcp://")


@dataclass(frozen=True)
class WyomingSettings(ServerSettings):
    """The section ``wyoming``."""

    type: ClassVar[str] = "wyoming"

    listen: Address = key(Listen("tcp://"), DEFAULT, "Address to listen on; the protocol has no password and no TLS.")
