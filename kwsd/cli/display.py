"""Level and scores as bars on a terminal, or else as a line twice a second."""

from collections.abc import Mapping
from dataclasses import dataclass, field

FLOOR_DBFS = -70.0
REDRAW_S = 0.1
LINE_S = 0.5  # without a terminal to redraw
HOLD_S = 3.0  # how long the highest score is marked
CLEAR = "\x1b[H\x1b[2J"


@dataclass(frozen=True)
class Moment:
    """What to show.

    Attributes:
        scores: of all labels, averaged, 0..1; empty if nothing was heard yet: the remark is then shown alone.
        level_dbfs, peak_dbfs: of the signal; the peak is not always known.
        remark: further text: the state if it is not listening, the last word.
    """

    scores: Mapping[str, float]
    level_dbfs: float
    peak_dbfs: float | None = None
    remark: str = ""


@dataclass
class Display:
    """Prints moments.

    Attributes:
        on_terminal: redraw bars in place; else print lines.
        thresholds: what each word needs, marked by ``|`` in its bar.
    """

    on_terminal: bool
    thresholds: dict[str, float] = field(default_factory=dict)
    _held: dict[str, tuple[float, float]] = field(default_factory=dict)  # the highest score, and its time
    _due_s: float = 0.0
    _drawn: int = 0
    _size: tuple[int, int] = (0, 0)

    def is_due(self, now_s: float) -> bool:
        """Whether it is time for the next moment; true once for each."""
        if now_s < self._due_s:
            return False
        self._due_s = now_s + (REDRAW_S if self.on_terminal else LINE_S)
        return True

    def hold(self, label: str, score: float, now_s: float) -> None:
        """Marks a score as the highest of its label for HOLD_S, unless a higher one is marked."""
        highest, since_s = self._held.get(label, (0.0, now_s))
        if score >= highest or now_s - since_s > HOLD_S:
            self._held[label] = score, now_s

    def show(self, moment: Moment, now_s: float) -> None:
        for label, score in moment.scores.items():
            self.hold(label, score, now_s)
        if self.on_terminal:
            self._redraw(moment)
        else:
            print(_line(moment), flush=True)

    def _redraw(self, moment: Moment) -> None:
        import shutil

        columns, lines = size = shutil.get_terminal_size()
        width = max(4, min(50, columns - 24))
        filled = 1 - max(FLOOR_DBFS, moment.level_dbfs) / FLOOR_DBFS
        rows = [f"{'level':12} {bar(filled, width)} {moment.level_dbfs:6.1f} dB"] if moment.scores else []
        for label, score in best(moment.scores, lines - 3):
            marked = bar(score, width, self._held[label][0], self.thresholds.get(label))
            rows.append(f"{label[:12]:12} {marked} {score:6.2f}")
        rows.append(f"{_peak(moment)}{moment.remark}")
        # A terminal that was resized has wrapped or moved its lines, so that the way back up is unknown.
        again = f"\x1b[{self._drawn}A" if size == self._size else CLEAR
        # Each row is cut to the terminal's width, since a wrapped one would spoil the way back up.
        text = "".join(f"\r{row[: columns - 1]}\x1b[K\n" for row in rows)
        print((again if self._drawn else "") + text, end="", flush=True)
        self._drawn, self._size = len(rows), size


def _line(moment: Moment) -> str:
    if not moment.scores:
        return moment.remark
    first = sorted(moment.scores, key=lambda label: -moment.scores[label])[:3]
    words = "  ".join(f"{label} {moment.scores[label]:.2f}" for label in first)
    return f"level {moment.level_dbfs:6.1f} dBFS  {_peak(moment)}{words}  {moment.remark}".rstrip()


def _peak(moment: Moment) -> str:
    return "" if moment.peak_dbfs is None else f"peak {moment.peak_dbfs:6.1f} dBFS  "


def best(scores: Mapping[str, float], count: int) -> list[tuple[str, float]]:
    """All words or, if they do not fit, those with the highest scores, in the model's order."""
    shown = sorted(scores, key=lambda label: -scores[label])[: max(1, count)]
    return [(label, score) for label, score in scores.items() if label in shown]


def bar(share: float, width: int, held: float | None = None, threshold: float | None = None) -> str:
    """A bar of ``width`` characters, filled to ``share`` (0 to 1), ``>`` at ``held`` and ``|`` at ``threshold``."""
    filled = round(max(0.0, min(1.0, share)) * width)
    drawn = ["#"] * filled + ["."] * (width - filled)
    if held is not None and round(held * width) > filled:
        drawn[min(width - 1, round(held * width))] = ">"
    if threshold is not None and threshold > share:
        drawn[min(width - 1, round(threshold * width))] = "|"
    return "".join(drawn)
