"""The words in a recording, and how well detections match them: the strict score of docs/accuracy.md."""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from kwsd.errors import InputError, reason
from kwsd.recognize import SILENCE, UNKNOWN

GRACE_MS = 1000
"""How long after a row's end a detection still belongs to it (strict score)."""

ROW_MS = 1000
"""Length of a row without an end."""


class Row(NamedTuple):
    """A spoken word: its label, and start and end of its clip in ms from the recording's start."""

    label: str
    start_ms: float
    end_ms: float


class Found(NamedTuple):
    """A detection, in ms from the recording's start."""

    label: str
    time_ms: float
    score: float = 1.0


def parse_rows(text: str) -> list[Row]:
    """The rows of a ground-truth file, one ``label, time_ms[, end_ms]`` per line, sorted by time.

    Lines with fewer or more fields are ignored, as in the original. Raises ValueError for a time that is not a
    number.
    """
    rows = []
    for line in text.splitlines():
        label, *times = (field.strip() for field in line.split(","))
        if len(times) not in (1, 2):
            continue
        try:
            start_ms, end_ms = (float(times[0]), float(times[1] if len(times) == 2 else times[0]))
            if not (math.isfinite(start_ms) and math.isfinite(end_ms)):
                raise ValueError
        except ValueError:
            raise ValueError(f"Wrong number format at line: {line}") from None
        rows.append(Row(label, start_ms, end_ms if len(times) == 2 else start_ms + ROW_MS))
    return sorted(rows, key=lambda row: row.start_ms)


def read_rows(path: Path) -> list[Row]:
    """`parse_rows` of a file. Raises InputError; for a file in another format too, whose rows would all be ignored."""
    try:
        text = path.read_text(encoding="utf-8-sig")  # as spreadsheets write it
        rows = parse_rows(text)
    except FileNotFoundError:
        raise InputError(str(path), f"Ground truth file '{path}' not found.") from None
    except (OSError, ValueError) as error:
        raise InputError(str(path), reason(error)) from error
    if text.strip() and not rows:
        why = "no row in it is `label, start_ms` or `label, start_ms, end_ms`"
        raise InputError(str(path), why, "Write them so, or rename the file if it is about something else.")
    return rows


@dataclass(frozen=True)
class Strict:
    """The one-to-one score.

    Attributes:
        words: spoken wanted words; each is hit or missed.
        hits: (index of the row, index of the detection) of each hit.
        wrong, false_alarms: indexes of the other detections, within reach of a row and out of it.
        latencies_ms: of the hits, from the row's end to the detection's time; negative if it came before the end.
    """

    words: int
    hits: tuple[tuple[int, int], ...]
    wrong: tuple[int, ...]
    false_alarms: tuple[int, ...]
    latencies_ms: tuple[float, ...]


def is_wanted(label: str) -> bool:
    """Whether a label is a wanted word."""
    return label not in (SILENCE, UNKNOWN)


def strict(rows: Sequence[Row], found: Sequence[Found]) -> Strict:
    """The strict score of one recording; both in order of time, a detection's time being ``audio_ms``.

    In order, each detection takes the earliest free wanted row of its label with start <= time <= end + 1000 ms.
    The rest are wrong if within [start, end + 1000] of any row, else false alarms.
    """
    free = [is_wanted(row.label) for row in rows]
    words = sum(free)
    starts_ms = [row.start_ms for row in rows]
    reach_ms = max((row.end_ms - row.start_ms for row in rows), default=0) + GRACE_MS
    hits: list[tuple[int, int]] = []
    wrong: list[int] = []
    false_alarms: list[int] = []
    for place, (label, time_ms, _) in enumerate(found):
        in_reach = range(bisect_left(starts_ms, time_ms - reach_ms), bisect_right(starts_ms, time_ms))
        near = [number for number in in_reach if time_ms <= rows[number].end_ms + GRACE_MS]
        for number in near:
            if free[number] and rows[number].label == label:
                free[number] = False
                hits.append((number, place))
                break
        else:
            (wrong if near else false_alarms).append(place)
    latencies_ms = tuple(found[place].time_ms - rows[number].end_ms for number, place in hits)
    return Strict(words, tuple(hits), tuple(wrong), tuple(false_alarms), latencies_ms)
