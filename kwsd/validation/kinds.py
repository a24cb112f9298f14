"""The kinds of values of settings: what each allows, and the text of its faults."""

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kwsd.validation.yaml import BROKEN, Faults, Node, described, resolve, shown

SOCKET_PATH_MAX_BYTES = 107  # sun_path in unix(7), less its final NUL
SPECIAL_LABELS = ("_silence_", "_unknown_")
_VARIABLE = re.compile(r"\$[A-Za-z_{]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


class Kind:
    """A kind of value.

    `allowed` describes the allowed values; `accept` turns a scalar into the setting, or raises ValueError with the
    reason (which may be empty). Faults of a `secret` kind do not show the value.
    """

    secret = False

    @property
    def allowed(self) -> str:
        raise NotImplementedError

    def accept(self, value: Any) -> Any:
        raise NotImplementedError

    def read(self, text: str) -> Any:
        """The setting for a command-line flag's text. Raises ValueError like `accept`."""
        return self.accept(resolve(text))

    def take(self, key: str, node: Node, unit: str, faults: Faults) -> Any:
        """The setting in a node; None, and a fault, if it is not allowed."""
        if node.value is BROKEN:
            return None
        try:
            return self.accept(node.value)
        except ValueError as error:
            got = shown_got(self, node.value, error)
            faults.add(node.line, f"key {shown(key)}: {got}; allowed: {self.allowed}{unit and ' ' + unit}")
            return None


def shown_got(kind: Kind, value: Any, error: ValueError) -> str:
    """What is wrong with a value, for a fault; a secret is not shown."""
    hidden = kind.secret and isinstance(value, str)
    return str(error) or ("this one is not allowed" if hidden else f"got {shown(value)}")


@dataclass(frozen=True)
class Whole(Kind):
    """An integer in a range, both ends allowed."""

    least: int
    most: int

    @property
    def allowed(self) -> str:
        return f"a whole number from {self.least} to {self.most}"

    def accept(self, value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not self.least <= value <= self.most:
            raise ValueError
        return value


@dataclass(frozen=True)
class Number(Kind):
    """A finite number in a range, both ends allowed."""

    least: float
    most: float

    @property
    def allowed(self) -> str:
        return f"a number from {self.least:g} to {self.most:g}"

    def accept(self, value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not self.least <= value <= self.most:
            raise ValueError
        return float(value)


@dataclass(frozen=True)
class Choice(Kind):
    """One of a few words."""

    words: tuple[str, ...]

    @property
    def allowed(self) -> str:
        return ", ".join(self.words[:-1]) + f" or {self.words[-1]}"

    def accept(self, value: Any) -> str:
        if value not in self.words:
            raise ValueError
        return str(value)


class Boolean(Kind):
    """true or false."""

    @property
    def allowed(self) -> str:
        return "true or false"

    def accept(self, value: Any) -> bool:
        if not isinstance(value, bool):
            raise ValueError
        return value


@dataclass(frozen=True)
class Text(Kind):
    """One non-empty line of text.

    Args:
        what: description of the text.
        pattern: what the whole text must match.
        max_bytes: its maximum length in UTF-8.
        secret: whether users might put a secret there by mistake; faults then do not show it, and anything like a
            secret of Standard Webhooks is rejected.
    """

    what: str
    pattern: str = ".+"
    max_bytes: int = 4095
    secret: bool = False

    @property
    def allowed(self) -> str:
        return self.what

    def accept(self, value: Any) -> Any:
        if not isinstance(value, str):
            quoted = isinstance(value, bool | int | float)
            raise ValueError(f"got {shown(value)}, which needs quotes to be text" if quoted else "")
        if not value.strip() or _CONTROL.search(value) or not re.fullmatch(self.pattern, value):
            raise ValueError
        if len(value.encode()) > self.max_bytes:
            raise ValueError(f"is longer than {self.max_bytes} bytes")
        if self.secret and value.startswith("whsec_"):
            raise ValueError("this looks like the secret itself")
        return value

    def read(self, text: str) -> Any:
        return self.accept(text)


class FilePath(Text):
    """The path of a file. ``~`` and ``~user`` at its beginning are home folders; nothing else is expanded."""

    def accept(self, value: Any) -> str:
        path: str = os.path.expanduser(super().accept(value))  # noqa: PTH111 - Path would tidy the rest up, too
        if path.startswith("~"):
            raise ValueError("there is no such user")
        if _VARIABLE.search(path):
            raise ValueError("variables such as $HOME are not expanded; write the path out, or begin it with ~")
        if len(os.fsencode(path)) > self.max_bytes:
            raise ValueError(f"is longer than {self.max_bytes} bytes")
        return path


class DeviceName(Text):
    """A device's name or index."""

    def __init__(self) -> None:
        super().__init__("part of a name, or an index from 0")

    def accept(self, value: Any) -> str | int:
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10_000:
            return value
        return super().accept(value)  # type: ignore[no-any-return]

    def read(self, text: str) -> str | int:
        return self.accept(resolve(text))


def reader(kind: Kind, unit: str) -> Callable[[str], Any]:
    """Reads a command-line flag of that kind; for argparse's ``type``, whose error it raises."""
    from argparse import ArgumentTypeError

    def read(text: str) -> Any:
        try:
            return kind.read(text)
        except ValueError as error:
            got = shown_got(kind, text, error)
            raise ArgumentTypeError(f"{got}; allowed: {kind.allowed}{unit and ' ' + unit}") from None

    return read


def nearest(word: str, known: Sequence[str]) -> str:
    """The known word most like ``word``, or all known words, for the end of a fault."""
    import difflib

    if near := difflib.get_close_matches(word[:64], known, 1):
        return f"the nearest is {shown(near[0])}"
    return f"allowed: {', '.join(known[:20])}{', ...' if len(known) > 20 else ''}"


class Words(Kind):
    """A list of a model's words."""

    @property
    def allowed(self) -> str:
        return "a list of the model's words, such as [stop, go]"

    def take(self, key: str, node: Node, unit: str, faults: Faults) -> tuple[Any, ...] | None:
        if not isinstance(node.value, tuple) or not node.value:
            got = "an empty list" if node.value == () else described(node.value)
            faults.add(node.line, f"key {shown(key)}: got {got}; allowed: {self.allowed}")
            return None
        words = [_WORD.take(key, item, "", faults) for item in node.value]
        for word, item in zip(words, node.value, strict=True):
            if word in SPECIAL_LABELS:
                faults.add(item.line, f"key {shown(key)}: {word} is never an event; allowed: {self.allowed}")
        return tuple(words)


class Thresholds(Kind):
    """Thresholds for some words."""

    @property
    def allowed(self) -> str:
        return "a mapping from words to numbers from 0 to 1, such as {go: 0.9}"

    def take(self, key: str, node: Node, unit: str, faults: Faults) -> Mapping[str, float]:
        if node.value is None:
            return {}
        if not isinstance(node.value, dict):
            faults.add(node.line, f"key {shown(key)}: got {described(node.value)}; allowed: {self.allowed}")
            return {}
        return {word: SCORE.take(word, child, "", faults) for word, child in node.value.items()}


SCORE = Number(0, 1)
_WORD = Text("a word of the model, in quotes if it looks like a number", max_bytes=255)
