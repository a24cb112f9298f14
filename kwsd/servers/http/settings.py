"""The settings of the HTTP server."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from kwsd.servers.settings import Address, Listen, ServerSettings
from kwsd.validation.keys import key
from kwsd.validation.kinds import Boolean, FilePath

DEFAULT = Address("127.0.0.1", 8077)


@dataclass(frozen=True)
class HttpSettings(ServerSettings):
    """The section ``http``."""

    type: ClassVar[str] = "http"

    listen: Address = key(
        Listen(), DEFAULT, "Address to listen on; if other machines can reach it, token_file is required."
    )
    page: bool = key(Boolean(), True, "Whether to serve the live page, which can also pause kwsd and arm words.")
    metrics: bool = key(Boolean(), True, "Whether to serve `/metrics` for Prometheus.")
    token_file: str | None = key(
        FilePath("a file path", secret=True),
        None,
        "File with the token that clients must send, at least 16 characters.",
    )

    @classmethod
    def faults(cls, values: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
        listen = values.get("listen") or DEFAULT
        if not listen.is_loopback and values.get("token_file") is None:
            yield "listen", f"got {listen}, which other machines can reach; this requires token_file"

    def check(self) -> Iterable[tuple[str, str]]:
        from importlib.util import find_spec

        from kwsd.errors import ConfigError
        from kwsd.servers.http.access import read_token

        if self.metrics and find_spec("prometheus_client") is None:
            yield "metrics", "prometheus_client is not installed; type pip install 'kwsd[house]', or set metrics: false"
        try:
            read_token(self.token_file)
        except ConfigError as error:
            yield from (("token_file", fault) for fault in error.faults)
