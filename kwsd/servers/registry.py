"""The kinds of server. A new kind is a settings class, a subclass of `Sink` and one line here; its section in a
configuration, its checks and its rows in docs/config.md follow from its settings class.

A kind's imports happen only if the configuration uses it.
"""

from collections.abc import Sequence
from importlib import import_module
from typing import Any, NamedTuple

from kwsd.servers.settings import ServerSettings
from kwsd.sinks.sink import Services, Sink


class Kind(NamedTuple):
    """Where the two classes of a kind are, as ``module:name``."""

    settings: str
    server: str


KINDS = {
    "http": Kind("kwsd.servers.http.settings:HttpSettings", "kwsd.servers.http.server:HttpServer"),
    "wyoming": Kind("kwsd.servers.wyoming.settings:WyomingSettings", "kwsd.servers.wyoming.server:WyomingServer"),
}
"""By the name of the section."""


def settings_class(kind: str) -> type[ServerSettings]:
    """The settings of a kind; KeyError for one that does not exist."""
    settings: type[ServerSettings] = _named(KINDS[kind].settings)
    return settings


def create(settings: Sequence[ServerSettings], services: Services) -> list[Sink]:
    """The servers with these settings, not started. They are sinks, since events reach them over the bus."""
    return [_named(KINDS[each.type].server).create(each, services) for each in settings]


def _named(path: str) -> Any:
    module, _, name = path.partition(":")
    return getattr(import_module(module), name)
