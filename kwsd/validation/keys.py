"""Keys of a settings file, defined once, at the field of the dataclass that holds the value.

    @dataclass(frozen=True)
    class AudioSettings:
        gain_db: float = key(Number(-60, 60), 0.0, "Gain, applied before everything else.", unit="dB")

The syntax of the file, its faults, the table in the docs and a command-line flag's type all follow from that field.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from kwsd.validation.kinds import Kind, nearest, reader
from kwsd.validation.yaml import BROKEN, Faults, Node, described, shown

REQUIRED: Any = object()
"""The default of a required key."""


@dataclass(frozen=True)
class Key:
    """One key of a settings file.

    Attributes:
        section, name: its place; "" is the top level, ``sinks.socket`` a sink of that type.
        kind: type and range.
        default: its value if it is left out, or REQUIRED. If it is None, null is allowed too.
        unit: of the value.
        text: its description, in one sentence.
    """

    section: str
    name: str
    kind: Kind
    default: Any
    unit: str
    text: str


def key(kind: Kind, default: Any, text: str, *, unit: str = "", kw_only: bool = False) -> Any:
    """A field of a settings dataclass that is a key of the file; for the arguments see `Key`."""
    how: dict[str, Any] = {"metadata": {"key": (kind, default, unit, text)}, "kw_only": kw_only}
    if isinstance(default, Mapping):
        return field(default_factory=dict, **how)
    return field(**how) if default is REQUIRED else field(default=default, **how)


def keys_of(section: str, settings: type) -> tuple[Key, ...]:
    """The keys of a settings dataclass, in the order of its fields."""
    rows = ((each.name, each.metadata["key"]) for each in fields(settings) if "key" in each.metadata)
    return tuple(Key(section, name, *row) for name, row in rows)


def read_section(
    keys: Iterable[Key],
    node: Node | None,
    faults: Faults,
    *,
    others: Iterable[str] = (),
    elsewhere: Callable[[str], str] = lambda name: "",
) -> dict[str, Any]:
    """The valid settings of a mapping.

    Args:
        keys: its possible keys, all of one section.
        node: the mapping; None if the file does not have it.
        others: further keys, which are read elsewhere.
        elsewhere: returns where a misplaced key belongs.
    """
    known = {each.name: each for each in keys}
    if node is None or node.value is None or node.value is BROKEN:
        return {}
    if not isinstance(node.value, dict):
        section = next((each.section for each in known.values()), "")
        what = f"key {shown(section.rpartition('.')[2])}: " if section else ""
        faults.add(node.line, f"{what}got {described(node.value)}; allowed: a mapping (key: value)")
        return {}
    values: dict[str, Any] = {}
    for name, child in node.value.items():
        if (found := known.get(name)) is not None:
            if child.value is not BROKEN and (child.value is not None or found.default is not None):
                values[name] = found.kind.take(name, child, found.unit, faults)
        elif name not in others:
            faults.add(child.line, f"key {shown(name)}: unknown{elsewhere(name)}; {nearest(name, [*known, *others])}")
    return values


def flag_reader(find: Callable[[], Key]) -> Callable[[str], Any]:
    """A reader of a command-line flag that takes its key's values; for argparse's ``type``, whose error it raises.

    Args:
        find: returns the key when it is needed, so that a flag that is not given imports nothing.
    """

    def read(text: str) -> Any:
        found = find()
        return reader(found.kind, found.unit)(text)

    return read
