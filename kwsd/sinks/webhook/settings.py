"""The settings of a webhook."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

from kwsd.sinks.settings import SinkSettings
from kwsd.sinks.webhook.url import Url
from kwsd.validation.keys import REQUIRED, key
from kwsd.validation.kinds import FilePath, Kind, Number, Text

_NAME = "[A-Za-z_][A-Za-z0-9_]*"


class WebUrl(Kind):
    """The URL of a webhook. Errors do not show its secret parts."""

    secret = True

    @property
    def allowed(self) -> str:
        return "http://HOST[:PORT]/PATH or https://..., without spaces"

    def accept(self, value: Any) -> Url:
        if not isinstance(value, str):
            raise ValueError
        return Url.parse(value)


@dataclass(frozen=True)
class WebhookSettings(SinkSettings):
    """A sink of type ``webhook``."""

    type: ClassVar[str] = "webhook"
    files: ClassVar[tuple[str, ...]] = ("spool",)
    exclusive: ClassVar[tuple[tuple[str, str], ...]] = (("secret_file", "secret_env"),)

    url: Url = key(WebUrl(), REQUIRED, "Where events are posted; only scheme, host and port are ever shown.")
    secret_file: str | None = key(FilePath("a file path", secret=True), None, "File with the signing secret.")
    secret_env: str | None = key(
        Text("a variable name", _NAME, secret=True), None, "Environment variable with the signing secret."
    )
    timeout_s: float = key(Number(0.1, 60), 3.0, "Time limit for each attempt.", unit="s")
    max_age_s: float = key(Number(0.1, 604_800), 10.0, "Events older than this are dropped.", unit="s")
    spool: str | None = key(
        FilePath("a file path"), None, "File that keeps undelivered events across restarts, for this webhook alone."
    )

    def check(self) -> Iterable[tuple[str, str]]:
        from kwsd.errors import ConfigError
        from kwsd.sinks.webhook.signing import read_key
        from kwsd.sinks.webhook.spool_file import check_place

        try:
            read_key(self.secret_file, self.secret_env, os.environ)
        except ConfigError as error:
            key_name = "secret_file" if self.secret_file is not None else "secret_env"
            yield from ((key_name, fault) for fault in error.faults)
        try:
            if self.spool is not None:
                check_place(self.spool)
        except ConfigError as error:
            yield from (("spool", fault) for fault in error.faults)
