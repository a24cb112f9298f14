"""A YAML file -> Settings. All faults of a file are reported together, each with its line.

docs/config.md shows the keys, examples/kwsd.yaml each of them with its default.
"""

import math
import os
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Any

from kwsd.audio.settings import AudioSettings
from kwsd.config.settings import LogSettings, Settings
from kwsd.errors import ConfigError
from kwsd.recognize.settings import KEYS as RECOGNIZE_KEYS
from kwsd.recognize.settings import RecognizeSettings
from kwsd.servers import registry as servers
from kwsd.sinks import registry
from kwsd.sinks.settings import SinkSettings
from kwsd.validation.keys import REQUIRED, Key, flag_reader, keys_of, read_section
from kwsd.validation.kinds import Choice, Text
from kwsd.validation.yaml import BROKEN, Faults, Node, Path, described, lines, parse, read_bytes, shown

Check = Callable[[Settings], Iterable[str]]

SECTIONS = ("audio", "recognize", "listeners", "sinks", "log", *servers.KINDS)
LISTENER_SECTIONS = ("audio", "recognize")
LISTENER_NAME = Text("a listener's name of at most 64 of A-Z a-z 0-9 _ -", "[A-Za-z0-9_-]{1,64}")
KEYS: Mapping[str, tuple[Key, ...]] = {
    "": keys_of("", Settings),
    "audio": keys_of("audio", AudioSettings),
    "recognize": RECOGNIZE_KEYS,
    "log": keys_of("log", LogSettings),
}
"""The keys of each section; for those of a kind of sink or server see `sink_keys` and `server_keys`."""


@cache
def sink_keys(kind: str) -> tuple[Key, ...]:
    """The keys of a sink of this kind."""
    return keys_of(f"sinks.{kind}", registry.settings_class(kind))


@cache
def server_keys(kind: str) -> tuple[Key, ...]:
    """The keys of a server's section."""
    return keys_of(kind, servers.settings_class(kind))


def all_keys() -> tuple[Key, ...]:
    """All keys of a configuration, as listed in docs/config.md; imports all kinds of sink and server."""
    top, audio, recognize, log = KEYS.values()
    sinks = [key for kind in registry.KINDS for key in sink_keys(kind)]
    served = [key for kind in servers.KINDS for key in server_keys(kind)]
    return (*top, *audio, *recognize, *sinks, *served, *log)


def flag(section: str, name: str) -> Callable[[str], Any]:
    """A reader of a command-line flag that takes that key's values; for argparse's ``type``, whose error it raises."""

    def find() -> Key:
        kind = section.removeprefix("sinks.")
        keys = KEYS[section] if section in KEYS else sink_keys(kind)
        return next(key for key in keys if key.name == name)

    return flag_reader(find)


def load(path: str, check: Check | None = None) -> Settings:
    """Reads a configuration file. Raises ConfigError with every fault of it.

    Args:
        check: finds further faults in the valid parts of a file, so that all are reported together.
    """
    return read(read_bytes(path, Faults(path)), path, check)


def read(data: bytes, name: str, check: Check | None = None) -> Settings:
    """The same for the bytes of a file called ``name``."""
    faults = Faults(name)
    root = parse(data, faults)
    nodes = root.value if isinstance(root.value, dict) else {}
    top = _section("", root, faults, SECTIONS)
    audio, recognize, log = (_section(name, nodes.get(name), faults) for name in ("audio", "recognize", "log"))
    _check_strides(recognize, nodes.get("recognize"), faults)
    listeners = _listeners(nodes, faults)
    sinks = _sinks(nodes.get("sinks"), faults)
    served = [(kind, _server(kind, nodes[kind], faults)) for kind in servers.KINDS if _is_wanted(nodes.get(kind))]
    found_at = lines(root)
    common: dict[str, Any] = {"recognize": RecognizeSettings(**recognize), "source": faults.name, "lines": found_at}
    try:
        faults.check()
    except ConfigError as error:
        if check is None or listeners or top.get("model", "default") is None:
            raise
        found = (*error.faults, *check(Settings(**top, **common)))
        raise ConfigError(*sorted(found, key=lambda fault: _line(fault, faults.name))) from None
    audio_settings, log_settings = AudioSettings(**audio), LogSettings(**log)
    made = None if sinks is None else tuple(registry.settings_class(kind)(**values) for kind, values in sinks)
    asked = tuple(servers.settings_class(kind)(**values) for kind, values in served)
    named = {each: _named(each, values, faults.name, found_at) for each, values in listeners.items()}
    settings = Settings(**top, audio=audio_settings, sinks=made, servers=asked, log=log_settings, named=named, **common)
    if conflicts := [*_port_conflicts(settings), *_node_conflicts(settings)]:
        others = check(settings) if check is not None and not listeners else ()
        raise ConfigError(*sorted((*conflicts, *others), key=lambda fault: _line(fault, faults.name)))
    return settings


def _line(fault: str, name: str) -> float:
    """The line of a fault; faults of another file (labels, front end) come last."""
    return int(fault.removeprefix(f"{name}:").partition(":")[0]) if fault.startswith(f"{name}:") else math.inf


def _section(section: str, node: Node | None, faults: Faults, others: Iterable[str] = ()) -> dict[str, Any]:
    keys = KEYS[section] if section in KEYS else sink_keys(section.removeprefix("sinks."))
    return read_section(keys, node, faults, others=others, elsewhere=_elsewhere)


def _elsewhere(name: str) -> str:
    """Where a misplaced key belongs."""
    return next(
        (f" here; it belongs under '{key.section}'" for key in all_keys() if key.name == name and key.section), ""
    )


def _check_strides(recognize: Mapping[str, Any], node: Node | None, faults: Faults) -> None:
    stride, widest = recognize.get("clip_stride_ms"), recognize.get("max_clip_stride_ms")
    if node is not None and stride is not None and widest is not None and stride > widest:
        line = node.value["max_clip_stride_ms"].line
        faults.add(line, f"key 'max_clip_stride_ms': got {widest:g}; allowed: at least the clip_stride_ms {stride:g}")


# Listeners: a mapping of names to what would otherwise be top-level keys.


def _listeners(nodes: Mapping[str, Node], faults: Faults) -> dict[str, dict[str, Any]]:
    """The settings of each listener, with its sections as mappings; empty if the file names none."""
    node = nodes.get("listeners")
    if node is None or node.value is None or node.value is BROKEN:
        return {}
    if not isinstance(node.value, dict) or not node.value:
        got = "an empty mapping" if node.value == {} else described(node.value)
        faults.add(node.line, f"key 'listeners': got {got}; allowed: a mapping from names to listeners")
        return {}
    for key in (*(key.name for key in KEYS[""]), *LISTENER_SECTIONS):
        if key in nodes:
            faults.add(nodes[key].line, f"key {key!r}: cannot be combined with 'listeners'; set it in each listener")
    listeners = {name: _listener(name, child, faults) for name, child in node.value.items()}
    readers = [name for name, values in listeners.items() if values["audio"].get("source") == "-"]
    for name in readers[1:]:
        line = node.value[name].value["audio"].value["source"].line
        faults.add(line, f"key 'source': got '-', which {readers[0]} reads already; standard input has one reader")
    return listeners


def _listener(name: str, node: Node, faults: Faults) -> dict[str, Any]:
    try:
        LISTENER_NAME.accept(name)
    except ValueError:
        faults.add(node.line, f"key {shown(name)}: got {shown(name)}; allowed: {LISTENER_NAME.allowed}")
    values = read_section(KEYS[""], node, faults, others=LISTENER_SECTIONS, elsewhere=_elsewhere)
    nodes = node.value if isinstance(node.value, dict) else {}
    for section in LISTENER_SECTIONS:
        values[section] = _section(section, nodes.get(section), faults)
    _check_strides(values["recognize"], nodes.get("recognize"), faults)
    return values


def _named(name: str, values: dict[str, Any], source: str, found_at: Mapping[Path, int]) -> Settings:
    """The settings of a listener; lines are those of its keys."""
    own = {path[2:]: line for path, line in found_at.items() if path[:2] == ("listeners", name)}
    own[()] = found_at["listeners", name]
    audio, recognize = AudioSettings(**values.pop("audio")), RecognizeSettings(**values.pop("recognize"))
    return Settings(**values, audio=audio, recognize=recognize, source=source, lines=own)


# Servers: a section each; there is none without its section, or if that is null.


def _is_wanted(node: Node | None) -> bool:
    return node is not None and node.value is not None and node.value is not BROKEN


def _server(kind: str, node: Node, faults: Faults) -> dict[str, Any]:
    values = read_section(server_keys(kind), node, faults, elsewhere=_elsewhere)
    for name, fault in servers.settings_class(kind).faults(values):
        at = node.value.get(name, node) if isinstance(node.value, dict) else node
        faults.add(at.line, f"key {name!r}: {fault}")
    return values


def _port_conflicts(settings: Settings) -> Iterable[str]:
    for at, server in enumerate(settings.servers):
        for other in settings.servers[:at]:
            if server.listen.overlaps(other.listen):
                why = f"port {server.listen.port} is that of {other.type}; each server needs its own"
                yield settings.fault((server.type, "listen"), why)


# Sinks: a list of mappings, each with its type.


def _sinks(node: Node | None, faults: Faults) -> list[tuple[str, dict[str, Any]]] | None:
    """Each sink's kind and settings; None if the file does not mention sinks."""
    if node is None or node.value is None or node.value is BROKEN:
        return None
    if not isinstance(node.value, tuple):
        faults.add(node.line, f"key 'sinks': got {described(node.value)}; allowed: a list of sinks (- type: ...)")
        return None
    sinks = []
    files: dict[str, int] = {}
    for item in node.value:
        if (kind := _sink_kind(item, faults)) is not None:
            sinks.append((kind, _sink(kind, item, files, faults)))
    return sinks


def _sink_kind(item: Node, faults: Faults) -> str | None:
    kinds = Choice(tuple(registry.KINDS))
    if not isinstance(item.value, dict):
        faults.add(item.line, f"key 'sinks': got {described(item.value)}; allowed: a mapping with its type in it")
        return None
    if "type" not in item.value:
        faults.add(item.line, f"key 'type': required; allowed: {kinds.allowed}")
        return None
    kind: str | None = kinds.take("type", item.value["type"], "", faults)
    return kind


def _sink(kind: str, item: Node, files: dict[str, int], faults: Faults) -> dict[str, Any]:
    """The settings of one sink.

    Args:
        files: the files of the sinks before it, and their lines.
    """
    settings = registry.settings_class(kind)
    values = settings.from_environment() | _section(f"sinks.{kind}", item, faults, ("type",))
    for key in sink_keys(kind):
        if key.default is REQUIRED and key.name not in values:
            faults.add(item.line, f"key '{key.name}': required; allowed: {key.kind.allowed}")
    _check_exclusive(settings, values, item, faults)
    _check_files(settings, values, item, files, faults)
    return values


def _node_conflicts(settings: Settings) -> Iterable[str]:
    """Sinks that a broker would take for the same client: it would end one's connection for the other's."""
    taken = set()
    for index, sink in enumerate(settings.sinks or ()):
        if (name := sink.name_at_its_server) is None:
            continue
        if name in taken:
            yield settings.fault(("sinks", index, "node"), "another sink has this node at this broker; give it its own")
        taken.add(name)


def _check_exclusive(settings: type[SinkSettings], values: Mapping[str, Any], item: Node, faults: Faults) -> None:
    for pair in settings.exclusive:
        if all(values.get(name) for name in pair):
            line = max(item.value[name].line for name in pair)
            faults.add(line, f"key '{pair[1]}': cannot be combined with '{pair[0]}'")


def _check_files(
    settings: type[SinkSettings], values: Mapping[str, Any], item: Node, files: dict[str, int], faults: Faults
) -> None:
    for name in settings.files:
        if (path := values.get(name)) is None:
            continue
        line = item.value[name].line if name in item.value else item.line
        try:
            first = files.get(real := os.path.realpath(path))
        except FileNotFoundError:
            faults.add(line, f"key '{name}': a relative path, and the working folder was deleted; give a whole path")
            continue
        if first is not None:
            faults.add(line, f"key '{name}': the same file as on line {first}; each sink needs its own")
        files[real] = line
