"""The settings of a sink that publishes to an MQTT broker."""

import os
import re
import socket
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar

from kwsd.sinks.settings import SinkSettings
from kwsd.validation.keys import REQUIRED, key, keys_of, read_section
from kwsd.validation.kinds import Boolean, FilePath, Number, Text, Whole
from kwsd.validation.yaml import Faults, Node

PORT, TLS_PORT = 1883, 8883
NODE_MAX = 64

_VARIABLE = Text("a variable name", "[A-Za-z_][A-Za-z0-9_]*", secret=True)
_NODE = Text(f"a name of at most {NODE_MAX} characters out of A-Z a-z 0-9 _ -", f"[A-Za-z0-9_-]{{1,{NODE_MAX}}}")
_LEVELS = r"[^#+/\s\x00][^#+\s\x00]*"


@dataclass(frozen=True)
class TlsFiles:
    """The keys of ``tls``."""

    ca_file: str | None = key(
        FilePath("a file path"), None, "Certificate authorities that may sign the broker's certificate."
    )
    cert_file: str | None = key(FilePath("a file path"), None, "kwsd's client certificate.")
    key_file: str | None = key(FilePath("a file path"), None, "The certificate's private key.")


class Tls(Boolean):
    """Whether TLS is used, and with which files."""

    @property
    def allowed(self) -> str:
        return "true, false, or a mapping with ca_file, cert_file and key_file"

    def take(self, key: str, node: Node, unit: str, faults: Faults) -> Mapping[str, str] | None:
        """The named files, possibly none; None without TLS."""
        if not isinstance(node.value, dict):
            wanted: bool | None = super().take(key, node, unit, faults)
            return {} if wanted else None
        files = read_section(keys_of(f"sinks.mqtt.{key}", TlsFiles), node, faults)
        if files.get("key_file") and not files.get("cert_file"):
            faults.add(node.value["key_file"].line, "key 'key_file': requires cert_file")
        return files


@dataclass(frozen=True)
class MqttSettings(SinkSettings):
    """A sink of type ``mqtt``."""

    type: ClassVar[str] = "mqtt"
    exclusive: ClassVar[tuple[tuple[str, str], ...]] = (("password_file", "password_env"),)

    host: str = key(Text("a host name or an address", r"[^\s/@]+", 253, secret=True), REQUIRED, "The broker's host.")
    port: int | None = key(Whole(1, 65_535), None, f"The broker's port; when null {PORT}, or {TLS_PORT} with tls.")
    node: str | None = key(_NODE, None, "The name of this kwsd in topics; the host name when null.")
    tls: Mapping[str, str] | None = key(
        Tls(), None, "Whether to use TLS; certificate authorities are the system's, or ca_file."
    )
    username: str | None = key(Text("a user name"), None, "User name for the broker.")
    password_file: str | None = key(FilePath("a file path", secret=True), None, "File with the password.")
    password_env: str | None = key(_VARIABLE, None, "Environment variable with the password.")
    control: bool = key(Boolean(), True, "Whether messages to `kwsd/NODE/set` may pause kwsd and arm words.")
    discovery: bool = key(Boolean(), True, "Whether to announce kwsd's entities to Home Assistant.")
    discovery_prefix: str = key(Text("a topic", _LEVELS), "homeassistant", "Topic prefix of these announcements.")
    max_age_s: float = key(Number(0.1, 604_800), 10.0, "Events older than this are dropped.", unit="s")

    @property
    def port_in_force(self) -> int:
        return self.port or (PORT if self.tls is None else TLS_PORT)

    @property
    def name_at_its_server(self) -> tuple[str, int, str]:
        return self.host.lower(), self.port_in_force, self.node_in_force

    @property
    def node_in_force(self) -> str:
        return self.node or host_node(socket.gethostname())

    def check(self) -> Iterable[tuple[str, str]]:
        from importlib.util import find_spec

        from kwsd.errors import ConfigError
        from kwsd.sinks.mqtt.access import password, tls_context

        name = "password_env" if self.password_file is None else "password_file"
        looks: list[tuple[str, Callable[[], object]]] = [
            ("tls", lambda: tls_context(self.tls)),
            (name, lambda: password(self.password_file, self.password_env, os.environ)),
        ]
        faults = []
        if find_spec("paho") is None:
            faults.append(("type", "paho-mqtt is not installed; type pip install 'kwsd[house]'"))
        for name, look in looks:
            try:
                look()
            except ConfigError as error:
                faults += [(name, fault) for fault in error.faults]
        return faults


def host_node(host: str) -> str:
    """A host's name as a level of a topic: characters that are not allowed become ``_``."""
    return re.sub("[^A-Za-z0-9_-]", "_", host.partition(".")[0])[:NODE_MAX] or "kwsd"
