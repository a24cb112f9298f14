"""A row of the table of flags, and how argparse uses it. The kinds of values are those of kwsd's configuration."""

import argparse
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kwsd.validation.kinds import Choice, Kind, Number, Text, Whole, reader

_METAVARS = {"ms": "MS", "s": "S", "Hz": "HZ", "dB": "DB"}
_KIND_METAVARS: Mapping[type[Kind], str] = {Whole: "N", Number: "X", Text: "TEXT"}


@dataclass(frozen=True)
class Flag:
    """A flag.

    Attributes:
        name: without the hyphens.
        kind: type and range.
        default: the value if it is not given; None if there is none, or if the command determines it.
        unit: of the value.
        text: description for ``--help``, which adds range, unit and default.
    """

    name: str
    kind: Kind
    default: Any
    unit: str
    text: str

    @property
    def help(self) -> str:
        """The line of ``--help``."""
        allowed = f"{self.kind.allowed}{self.unit and ' ' + self.unit}"
        default = "" if self.default in (None, "") else f"; default: {self.shown(self.default)}"
        return f"{self.text} ({allowed}{default})"

    def shown(self, value: Any) -> str:
        """A value as it is written on a command line."""
        return " ".join(self.arguments(value)[1:])

    def arguments(self, value: Any) -> list[str]:
        """The command-line arguments for this value."""
        if isinstance(self.kind, Several):
            value = ",".join(map(_text, value))
        values = value if isinstance(self.kind, FromTo) else [value]
        return [f"--{self.name}", *map(_text, values)]


@dataclass(frozen=True)
class FromTo(Kind):
    """Two numbers of a kind, neither above the one after it."""

    of: Number

    @property
    def allowed(self) -> str:
        return f"two {_plural(self.of)}"

    def accept(self, value: Any) -> tuple[float, float]:
        low, high = map(self.of.accept, value)
        if low > high:
            raise ValueError
        return low, high


@dataclass(frozen=True)
class Several(Kind):
    """Numbers separated by commas."""

    of: Whole | Number

    @property
    def allowed(self) -> str:
        return _plural(self.of).replace(" from", " separated by commas, from")

    def accept(self, value: Sequence[Any]) -> tuple[Any, ...]:
        return tuple(map(self.of.accept, value))

    def read(self, text: str) -> tuple[Any, ...]:
        return tuple(self.of.read(part.strip()) for part in text.split(","))


class AnyCase(Choice):
    """One of a few words in capitals, accepted in any case."""

    def read(self, text: str) -> str:
        return self.accept(text.upper())


class Boolean(Kind):
    """A switch that also takes true or false, as the tutorial's did (there, even "False" was true)."""

    allowed = "true or false"

    def accept(self, value: Any) -> bool:
        if not isinstance(value, bool):
            raise ValueError
        return value

    def read(self, text: str) -> bool:
        if text.lower() not in ("true", "false"):
            raise ValueError
        return text.lower() == "true"


def add(group: Any, flags: Iterable[Flag], *, filled: bool = True) -> None:
    """Add flags to a parser, or to a group of one.

    Args:
        filled: whether flags that are not given have their default; else they are None, to be filled from elsewhere.
    """
    for flag in flags:
        settings: dict[str, Any] = {"default": flag.default if filled else None, "metavar": _metavar(flag)}
        if isinstance(flag.kind, FromTo):
            settings |= {"type": reader(flag.kind.of, flag.unit), "nargs": 2, "action": _LowFirst}
        elif isinstance(flag.kind, Boolean):
            settings |= {"type": reader(flag.kind, ""), "nargs": "?", "const": True}
        else:
            settings["type"] = reader(flag.kind, flag.unit)
        group.add_argument(f"--{flag.name}", help=flag.help.replace("%", "%%"), **settings)


def defaults(flags: Iterable[Flag]) -> dict[str, Any]:
    """The default of each flag."""
    return {flag.name: flag.default for flag in flags}


class _LowFirst(argparse.Action):
    """Takes two numbers in ascending order."""

    def __call__(self, parser: Any, namespace: argparse.Namespace, values: Any, option_string: Any = None) -> None:
        low, high = values
        if low > high:
            raise argparse.ArgumentError(self, f"got {low:g} {high:g}; the lower one comes first")
        setattr(namespace, self.dest, (low, high))


def _plural(of: Kind) -> str:
    return of.allowed.removeprefix("a ").replace("number", "numbers", 1)


def _metavar(flag: Flag) -> str | tuple[str, str]:
    if isinstance(flag.kind, FromTo):
        return "FROM", "TO"
    if isinstance(flag.kind, Boolean):
        return "BOOL"
    of = flag.kind.of if isinstance(flag.kind, Several) else flag.kind
    kinds = (name for kind, name in _KIND_METAVARS.items() if isinstance(of, kind))
    one = _METAVARS.get(flag.unit) or next(kinds, "NAME")
    return f"{one}[,{one}]" if isinstance(flag.kind, Several) else one


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) and float(f"{value:g}") == value else str(value)
