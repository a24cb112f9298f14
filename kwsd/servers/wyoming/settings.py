"""What can be set of the Wyoming server."""

from dataclasses import dataclass
from typing import ClassVar

from kwsd.servers.settings import Address, Listen, ServerSettings
from kwsd.validation.keys import key

DEFAULT = Address("127.0.0.1", 10_400, "tcp://")


@dataclass(frozen=True)
class WyomingSettings(ServerSettings):
    """The section ``wyoming``."""

    type: ClassVar[str] = "wyoming"

    listen: Address = key(Listen("tcp://"), DEFAULT, "Where it answers; the protocol has neither password nor TLS.")
