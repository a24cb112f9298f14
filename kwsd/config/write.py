"""Writes settings of the recogniser into a configuration file, leaving the rest of it, and comments, unchanged."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from kwsd.config.read import read
from kwsd.config.settings import Settings
from kwsd.errors import ConfigError, InputError, reason
from kwsd.recognize.settings import RecognizeSettings
from kwsd.validation.yaml import resolve
from kwsd.whole_file import write_whole

BOM, CRLF = "\ufeff", "\r\n"  # of editors on Windows

# A section is its line and all that are indented, empty or a comment between such lines.
_SECTION = re.compile(r"^recognize[ \t]*:.*\n?(?:(?:[ \t]*(?:#.*)?\n)*[ \t]+[^\s#].*\n?)*", re.MULTILINE)
_THRESHOLDS = re.compile(
    r"^(?P<indent>[ ]+)thresholds[ \t]*:.*\n?(?:(?:[ \t]*(?:#.*)?\n)*(?P=indent)[ \t]+[^\s#].*\n?)*", re.MULTILINE
)


def write_recognize(path: Path, recognize: Mapping[str, Any]) -> None:
    """Replace the section ``recognize`` of a configuration; the rest of an existing file stays unchanged.

    Raises:
        InputError: the file cannot be read.
        ConfigError: kwsd would reject the file; it is not changed.
        OutputError: it cannot be written.
    """
    text, _ = _read(path)
    text = with_section(text, recognize)
    read(text.encode(), str(path))
    _write(path, text)


def write_thresholds(path: Path, thresholds: Mapping[str, float], listener: str | None = None) -> None:
    """Override the thresholds of a configuration, word by word, and leave the rest of it unchanged.

    Args:
        listener: whose they are, where the configuration names listeners.

    Raises:
        InputError, ConfigError, OutputError: as `write_recognize` does.
    """
    text, before = _read(path)
    if listener is None:
        wanted = _over(before, thresholds)
        texts = _with_thresholds(text, wanted.recognize)
    else:
        named = {**before.named, listener: _over(before.named[listener], thresholds)}
        wanted = replace(before, named=named)
        texts = _with_listener_thresholds(text, listener, named[listener].recognize)
    for new in texts:
        if _means(new, wanted):
            _write(path, new)
            return
    raise ConfigError(f"{path}: the thresholds cannot be put into its recognize section. Write the section in lines")


def _over(settings: Settings, thresholds: Mapping[str, float]) -> Settings:
    """The settings with these thresholds laid over theirs."""
    recognize = settings.recognize
    return replace(settings, recognize=replace(recognize, thresholds={**(recognize.thresholds or {}), **thresholds}))


def with_section(text: str, recognize: Mapping[str, Any]) -> str:
    """A configuration's text with its ``recognize`` section replaced, or put at its end."""
    section = "\n".join(_lines(recognize)) + "\n"
    if _SECTION.search(text):
        return _SECTION.sub(lambda _: section, text, count=1)
    return text + ("\n" if text and not text.endswith("\n") else "") + section


def _read(path: Path) -> tuple[str, Settings]:
    """A file's text, with line ends of Unix and no byte order mark, and its content; empty if there is no file."""
    text = _raw(path)
    settings = read(text.encode(), str(path)) if text else Settings()
    return text.removeprefix(BOM).replace(_line_end(text), "\n"), settings


def _write(path: Path, text: str) -> None:
    """Writes a text with the byte order mark and the line ends of the file that is there."""
    before = _raw(path)
    write_whole(path, (BOM if before.startswith(BOM) else "") + text.replace("\n", _line_end(before)))


def _line_end(text: str) -> str:
    """That of all its lines; of a text that mixes them, which is left as it is, that of Unix."""
    return CRLF if 0 < text.count("\n") == text.count(CRLF) else "\n"


def _raw(path: Path) -> str:
    try:
        return path.read_bytes().decode() if path.exists() else ""
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(str(path), f"cannot be read: {reason(error)}") from error


def _with_thresholds(text: str, recognize: RecognizeSettings) -> Iterator[str]:
    """Candidate texts with these thresholds, the smallest change first; not all of them need be right."""
    section = _SECTION.search(text)
    if section is not None:
        inside = section[0]
        indent = found["indent"] if (found := re.search(r"^(?P<indent>[ ]+)[^\s#]", inside, re.MULTILINE)) else "  "
        new = "".join(f"{indent}{line}\n" for line in _thresholds(recognize.thresholds))
        if _THRESHOLDS.search(inside):
            changed = _THRESHOLDS.sub(lambda _: new, inside, count=1)
        else:
            changed = inside.rstrip("\n") + "\n" + new
        yield text[: section.start()] + changed + text[section.end() :]
    yield with_section(text, {name: value for name, value in vars(recognize).items() if value is not None})


def _with_listener_thresholds(text: str, listener: str, recognize: RecognizeSettings) -> Iterator[str]:
    """The same for a listener that stands in lines of its own: what it says is a configuration, but indented."""
    names = "|".join(map(re.escape, {listener, f"'{listener}'", f'"{listener}"'}))
    head = rf"^listeners[ \t]*:.*\n(?:(?:[ \t]+.*|#.*)?\n)*?(?P<indent>[ ]+)(?:{names})[ \t]*:[ \t]*(?:#.*)?\n"
    found = re.search(head, text, re.MULTILINE)
    if found is None:
        return
    inside = re.compile(rf"(?:[ ]*(?:#.*)?\n)*(?:{found['indent']}[ ]+.*(?:\n(?:[ ]*\n)*|$))*")
    own = inside.match(text, found.end())
    if own is None or (first := re.search(r"^([ ]+)[^\s#]", own[0], re.MULTILINE)) is None:
        return
    for new in _with_thresholds(re.sub(rf"^{first[1]}", "", own[0], flags=re.MULTILINE), recognize):
        indented = re.sub(r"^(?=.)", first[1], new, flags=re.MULTILINE)
        yield text[: own.start()] + indented + text[own.end() :]


def _means(text: str, wanted: Settings) -> bool:
    try:
        return read(text.encode(), "") == wanted
    except ConfigError:
        return False


def _lines(recognize: Mapping[str, Any]) -> Iterator[str]:
    yield "recognize:"
    for key, value in recognize.items():
        if key == "thresholds":
            yield from (f"  {line}" for line in _thresholds(value))
        else:
            yield f"  {key}: {_value(value)}"


def _thresholds(thresholds: Mapping[str, float]) -> Iterator[str]:
    yield "thresholds:"
    for word, number in thresholds.items():
        yield f"  {_key(word)}: {number}"


def _value(value: Any) -> str:
    return f"[{', '.join(map(_key, value))}]" if isinstance(value, tuple) else str(value)


def _key(word: str) -> str:
    """A word in YAML, in quotes if it would not be text without them."""
    plain = re.fullmatch(r"[A-Za-z_][\w-]*", word) and resolve(word) == word
    return word if plain else "'" + word.replace("'", "''") + "'"
