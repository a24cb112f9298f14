"""What can be set of a webhook."""

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
    """The address of a webhook. What it may keep secret is shown in no fault."""

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

    url: Url = key(WebUrl(), REQUIRED, "Where events are posted; only its scheme, host and port are ever shown.")
    secret_file: str | None = key(FilePath("a file's path", secret=True), None, "Holds the secret that signs.")
    secret_env: str | None = key(Text("a variable's name", _NAME, secret=True), None, "The same, in the environment.")
    timeout_s: float = key(Number(0.1, 60), 3.0, "How long one attempt may take.", unit="s")
    max_age_s: float = key(Number(0.1, 604_800), 10.0, "An event older than this is given up.", unit="s")
    spool: str | None = key(FilePath("a file's path"), None, "Keeps events through a restart, for this webhook alone.")

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
