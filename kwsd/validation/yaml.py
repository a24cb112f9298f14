"""Strict YAML with line numbers, for all YAML files of kwsd.

Scalars follow the core schema of YAML 1.2 (https://yaml.org/spec/1.2.2/#103-core-schema): only ``true`` and ``false``
are booleans, so that yes, no, on and off are words; ``8e-1`` is a number; ``1:30`` and ``2026-11-21`` are text;
``010`` is ten. PyYAML's pure Python parser handles the syntax; this module interprets its events.

Rejected: anything not UTF-8 or not printable, tabs between tokens, a second document, duplicate keys, keys that are not
text, tags, and aliases inside the value they name or that expand the file past EXPANDED_MAX_BYTES or DEPTH_MAX. ``<<``
is a key like any other.
"""

import re
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, NamedTuple, NoReturn

from kwsd.errors import ConfigError

FILE_MAX_BYTES = 256 * 1024
EXPANDED_MAX_BYTES = 1024 * 1024
DEPTH_MAX = 32

Scalar = str | int | float | bool | None
Path = tuple[str | int, ...]
"""The place of a value: keys and, in lists, indices from 0."""

BROKEN: Any = object()
"""The value of a node whose fault has been reported."""

_NULLS = {"", "~", "null", "Null", "NULL"}
_BOOLEANS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_DECIMAL = re.compile(r"[-+]?[0-9]+")
_OCTAL_HEX = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_INFINITY = re.compile(r"[-+]?\.(inf|Inf|INF)")
_NANS = {".nan", ".NaN", ".NAN"}
_STR_TAG = "tag:yaml.org,2002:str"

# YAML 1.1, and so PyYAML, treats these as line ends; YAML 1.2 does not.
_OLD_LINE_ENDS = re.compile("[\x85\u2028\u2029]")


def resolve(text: str) -> Scalar:
    """The meaning of an unquoted scalar in the core schema."""
    if text in _NULLS:
        return None
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    if _DECIMAL.fullmatch(text):
        # Python converts no decimal integer of more than 4300 digits; no setting allows numbers of that size.
        return int(text) if len(text) < 1000 else float(text)
    if _OCTAL_HEX.fullmatch(text):
        return int(text, 0)
    if _FLOAT.fullmatch(text):
        return float(text)
    if _INFINITY.fullmatch(text) or text in _NANS:
        return float(text.replace(".", ""))
    return text


def shown(value: object) -> str:
    """A value for a fault: one short line, without the secret parts of a URL."""
    if value is None or isinstance(value, dict | tuple | list):
        return described(value)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int) and abs(value) > 10**30:
        return "a number of many digits"
    text = repr(value)
    if "://" in text:
        return "a URL"
    return text if len(text) <= 60 else f"{text[:50]}...{text[-1]}"


def described(value: object) -> str:
    """The type of a value, for a fault that does not show the value itself."""
    if value is None:
        return "nothing"
    if isinstance(value, str):
        return "text"
    if isinstance(value, dict):
        return "a mapping"
    return "a list" if isinstance(value, tuple | list) else shown(value)


@dataclass(frozen=True, slots=True)
class Node:
    """A value and its line.

    Attributes:
        line: from 1; that of its key, if it has one.
        value: a Scalar, a tuple of Nodes, a dict of Nodes by str, or BROKEN.
    """

    line: int
    value: Any


class Faults:
    """The faults of one file, collected so that all are reported together."""

    def __init__(self, name: str) -> None:
        self.name = " ".join(name.splitlines())
        self._found: list[tuple[int, str]] = []

    def add(self, line: int, text: str) -> None:
        self._found.append((line, text))

    def check(self) -> None:
        """Raises ConfigError if there are any, in the order of lines."""
        if self._found:
            ordered = sorted(self._found, key=itemgetter(0))
            raise ConfigError(*dict.fromkeys(f"{self.name}:{line}: {text}" for line, text in ordered))

    def fatal(self, line: int, text: str) -> NoReturn:
        """Adds a fault after which nothing more can be read, and raises them all."""
        self.add(line, text)
        self.check()
        raise AssertionError("a fault was added")


def load_mapping(path: str) -> tuple[dict[str, Any], dict[Path, int]]:
    """Reads a YAML file whose root is a mapping.

    Returns:
        The mapping as plain dict, list, str, int, float, bool and None, and the line of every key and item by its
        path, such as ``("frontend", "bins")``.

    Raises:
        ConfigError: with every fault, ``FILE:LINE: what``.
    """
    faults = Faults(path)
    root = parse(read_bytes(path, faults), faults)
    if not isinstance(root.value, dict):
        faults.fatal(root.line, f"got {described(root.value)}; allowed: a mapping (key: value)")
    faults.check()
    return plain(root), lines(root)


def read_bytes(path: str, faults: Faults) -> bytes:
    """The content of a regular file (or of /dev/null) of at most FILE_MAX_BYTES. Raises ConfigError."""
    import os
    import pathlib

    file = pathlib.Path(path)
    try:
        if not (file.is_file() or path == os.devnull) and file.exists():
            kind = "a folder" if file.is_dir() else "a device, pipe or socket"
            raise ConfigError(f"{faults.name}: cannot be read: it is {kind}, and a file is wanted")
        with file.open("rb") as stream:
            data = stream.read(FILE_MAX_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        why = getattr(error, "strerror", None) or error
        raise ConfigError(f"{faults.name}: cannot be read: {why}") from error
    if len(data) > FILE_MAX_BYTES:
        raise ConfigError(f"{faults.name}: is larger than {FILE_MAX_BYTES // 1024} KiB, too large for a settings file")
    return data


def parse(data: bytes, faults: Faults) -> Node:
    """The file's only document; a node of None on line 1 if it is empty.

    Faults that leave the structure readable (a duplicate key) are added to ``faults``, for the caller to check;
    others raise ConfigError at once.
    """
    import yaml

    text = _decode(data, faults)
    parser = yaml.BaseLoader(text)
    try:
        return _Composer(parser, faults).document()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, index = (mark.line + 1, mark.index) if mark is not None else (1, 0)
        if text[index : index + 1] == "\t":
            _refuse_tabs(text, line, faults)
        context = f" ({error.context})" if error.context else ""
        faults.fatal(line, f"this is not YAML: {error.problem}{context}")
    except (ValueError, OverflowError):  # chr() and int() inside PyYAML
        faults.fatal(parser.line + 1, "this is not YAML: an escape or a directive holds a number out of range")


def plain(node: Node) -> Any:
    """The node's value as dict, list and scalars."""
    if isinstance(node.value, dict):
        return {key: plain(child) for key, child in node.value.items()}
    if isinstance(node.value, tuple):
        return [plain(child) for child in node.value]
    return node.value


def lines(node: Node, path: Path = ()) -> dict[Path, int]:
    """The line of every key and item below the node."""
    found: dict[Path, int] = {}
    if isinstance(node.value, dict | tuple):
        for key, child in node.value.items() if isinstance(node.value, dict) else enumerate(node.value):
            found[(*path, key)] = child.line
            found.update(lines(child, (*path, key)))
    return found


def _decode(data: bytes, faults: Faults) -> str:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        faults.fatal(data.count(b"\n", 0, error.start) + 1, "is not UTF-8; save the file in this encoding")
    for number, line in enumerate(text.split("\n"), 1):
        if found := _unprintable(line):
            faults.add(number, f"the character U+{ord(found[0]):04X} is not allowed; in double quotes \\u can write it")
    faults.check()
    return text


def _unprintable(text: str) -> re.Match[str] | None:
    """The first character that YAML does not allow."""
    from yaml.reader import Reader

    found: re.Match[str] | None = Reader.NON_PRINTABLE.search(text) or _OLD_LINE_ENDS.search(text)
    return found


def _refuse_tabs(text: str, first: int, faults: Faults) -> NoReturn:
    """Reports the tab found by the parser on line ``first``, and tabs that indent later lines."""
    message = "a tab is not allowed here; indent and separate with spaces"
    for number, line in enumerate(text.split("\n"), 1):
        if number > first and re.match(" *\t", line):
            faults.add(number, message)
    faults.fatal(first, message)


class _Anchor(NamedTuple):
    """The value that aliases name: its node, and its bytes and levels with every alias in it expanded."""

    node: Node
    size: int
    height: int


class _Composer:
    """Turns the parser's events into Nodes; an alias gets the value that it names."""

    def __init__(self, parser: Any, faults: Faults) -> None:
        import yaml

        self._yaml, self._parser, self._faults = yaml, parser, faults
        self._anchors: dict[str, _Anchor] = {}
        self._size = 0  # of the document so far, with every alias expanded
        self._deepest = 0

    def document(self) -> Node:
        yaml, parser = self._yaml, self._parser
        parser.get_event()  # the stream's start
        if parser.check_event(yaml.StreamEndEvent):
            return Node(1, None)
        parser.get_event()  # the document's start
        root = self._node(0)
        parser.get_event()  # the document's end
        if not parser.check_event(yaml.StreamEndEvent):
            line = parser.peek_event().start_mark.line + 1
            self._faults.add(line, "a second document begins here; only one is allowed")
        return root

    def _node(self, depth: int) -> Node:
        yaml = self._yaml
        event = self._parser.get_event()
        line = event.start_mark.line + 1
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event.anchor, line, depth)
        size_before, deepest_before, self._deepest = self._size, self._deepest, depth
        self._grow(line, len(getattr(event, "value", "")) + 1, depth)
        if isinstance(event, yaml.ScalarEvent):
            node = Node(line, self._scalar(event, line))
        elif isinstance(event, yaml.SequenceStartEvent):
            node = self._sequence(line, depth)
        else:
            node = self._mapping(line, depth)
        if event.tag not in (None, "!", _STR_TAG) or (event.tag == _STR_TAG and not isinstance(node.value, str)):
            self._faults.add(line, f"the tag {shown(event.tag)} is not allowed; write the value alone")
            node = Node(line, BROKEN)
        if event.anchor is not None:
            self._anchors[event.anchor] = _Anchor(node, self._size - size_before, self._deepest - depth)
        self._deepest = max(self._deepest, deepest_before)
        return node

    def _alias(self, name: str, line: int, depth: int) -> Node:
        anchor = self._anchors.get(name)
        if anchor is None:
            self._faults.add(line, f"*{name}: no value before it is marked &{name}")
            return Node(line, BROKEN)
        self._grow(line, anchor.size, depth + anchor.height)
        return Node(line, anchor.node.value)

    def _grow(self, line: int, size: int, depth: int) -> None:
        self._size += size
        self._deepest = max(self._deepest, depth)
        if depth > DEPTH_MAX:
            self._faults.fatal(line, f"nested deeper than {DEPTH_MAX} levels")
        if self._size > EXPANDED_MAX_BYTES:
            self._faults.fatal(line, f"aliases (*name) expand the file past {EXPANDED_MAX_BYTES // 1024**2} MiB")

    def _scalar(self, event: Any, line: int) -> Scalar:
        unquoted = event.style is None and event.tag is None
        value = resolve(event.value) if unquoted else event.value
        if isinstance(value, str) and (found := _unprintable(value)):
            self._faults.add(line, f"the character U+{ord(found[0]):04X} is not allowed in any value")
            return BROKEN  # type: ignore[no-any-return]
        return value

    def _sequence(self, line: int, depth: int) -> Node:
        items = []
        while not self._parser.check_event(self._yaml.SequenceEndEvent):
            items.append(self._node(depth + 1))
        self._parser.get_event()
        return Node(line, tuple(items))

    def _mapping(self, line: int, depth: int) -> Node:
        entries: dict[str, Node] = {}
        while not self._parser.check_event(self._yaml.MappingEndEvent):
            key, value = self._node(depth + 1), self._node(depth + 1)
            if key.value is BROKEN:
                continue
            if not isinstance(key.value, str):
                self._faults.add(key.line, f"key {shown(key.value)}: a key is text; put it in quotes")
            elif key.value in entries:
                first = entries[key.value].line
                self._faults.add(key.line, f"key {shown(key.value)}: given twice; first on line {first}")
            else:
                entries[key.value] = Node(key.line, value.value)
        self._parser.get_event()
        return Node(line, entries)
