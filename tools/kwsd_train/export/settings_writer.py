"""Recogniser's settings into a configuration file, or into a model's metadata."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kwsd import config
from kwsd.errors import InputError
from kwsd.model import Model
from kwsd.whole_file import write_whole


def write_config(path: Path, recognize: Mapping[str, Any]) -> None:
    """Make ``recognize`` the section of that name in a configuration; the rest of an existing file stays as it is.

    Raises ConfigError where kwsd would refuse the file; it is not changed then.
    """
    try:
        text = path.read_text(encoding="utf-8") if path.exists() else ""
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(str(path), f"cannot be read: {error}") from error
    if text:
        config.read(text.encode(), str(path))
    text = with_section(text, recognize)
    config.read(text.encode(), str(path))
    write_whole(path, text)


def with_section(text: str, recognize: Mapping[str, Any]) -> str:
    """A configuration's text with its ``recognize`` section replaced, or put at its end."""
    lines = ["recognize:"]
    for key, value in recognize.items():
        if isinstance(value, Mapping):
            lines += [f"  {key}:", *(f"    {_key(word)}: {number}" for word, number in value.items())]
        else:
            lines.append(f"  {key}: {value}")
    section = "\n".join(lines) + "\n"
    # A section is its line and all that are indented, empty or a comment between such lines.
    old = re.compile(r"^recognize[ \t]*:.*\n?(?:(?:[ \t]*(?:#.*)?\n)*[ \t]+[^\s#].*\n?)*", re.MULTILINE)
    if old.search(text):
        return old.sub(lambda _: section, text, count=1)
    return text + ("\n" if text and not text.endswith("\n") else "") + section


def _key(word: str) -> str:
    """A word as a key of YAML, in quotes where it would be something else without."""
    plain = re.fullmatch(r"[A-Za-z_][\w-]*", word) and word not in ("true", "false", "null")
    return word if plain else "'" + word.replace("'", "''") + "'"


def write_model(model: Model, target: Path, recognize: Mapping[str, Any]) -> None:
    """``model`` with these settings in its metadata, as ``target``, which may be its own file. Raises ModelError."""
    from kwsd_train.export import metadata_writer

    metadata = {**model.metadata, "recognize": dict(recognize)}
    write_whole(target, metadata_writer.write(model.path.read_bytes(), metadata))
