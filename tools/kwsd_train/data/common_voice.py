"""Common Voice's layout: tables of clips by many people, with transcripts."""

import csv
import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NamedTuple

from kwsd.errors import InputError, reason

_COLUMNS = {"client_id", "path", "sentence"}
_BEST = ("validated.tsv", "train.tsv", "dev.tsv", "test.tsv", "other.tsv")


class Spoken(NamedTuple):
    """A recording, its single word, and its speaker."""

    path: Path
    word: str
    speaker: str


def tables(folder: Path) -> list[Path]:
    """The tables to read: only validated.tsv if it exists, else all except those of rejected clips."""
    found = {path.name: path for path in sorted(folder.glob("*.tsv")) if set(_header(path)) >= _COLUMNS}
    if _BEST[0] in found:
        return [found[_BEST[0]]]
    return [found[name] for name in _BEST if name in found] or [
        path for name, path in found.items() if name not in ("invalidated.tsv", "reported.tsv")
    ]


def single_words(table: Path, words: Collection[str]) -> Iterator[Spoken]:
    """Rows whose sentence is a single word, one of ``words`` if given. InputError for a broken table."""
    clips = table.parent / "clips"
    try:
        with table.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE):
                word = re.sub(r"[^\w' -]", "", row["sentence"] or "").strip().lower()
                if not re.fullmatch(r"[^\W_][\w'-]*", word) or (words and word not in words):
                    continue
                name = Path(row["path"] or "").name
                speaker = "cv-" + re.sub(r"[^A-Za-z0-9]", "", row["client_id"] or "")[:16]
                yield Spoken((clips if clips.is_dir() else table.parent) / name, word, speaker)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(str(table), f"cannot be read: {reason(error)}") from error


def _header(path: Path) -> list[str]:
    try:
        with path.open(encoding="utf-8") as file:
            return file.readline().rstrip("\r\n").split("\t")
    except (OSError, UnicodeDecodeError):
        return []
