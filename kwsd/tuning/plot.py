"""Plots by matplotlib, which nothing else in kwsd needs."""

import io
from collections.abc import Mapping, Sequence
from typing import Any

from kwsd.errors import UnavailableError


def need_matplotlib(option: str) -> None:
    """Raises UnavailableError without it; called before the work that a plot would show."""
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise UnavailableError(option, "matplotlib is not installed", "pip install matplotlib") from error


def empty(width_inches: float, height_inches: float) -> tuple[Any, Any]:
    """A matplotlib Figure that needs no display, and its Axes."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width_inches, height_inches), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.add_subplot()


def as_png(figure: Any) -> bytes:
    """The file's bytes; the same for the same figure and matplotlib."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=120, metadata={"Software": None})
    return buffer.getvalue()


def draw_alarms(
    thresholds: Sequence[float], per_word: Mapping[str, Sequence[float]], title: str, wanted: float | None = None
) -> bytes:
    """A PNG: false alarms per hour against the threshold, a line for each word and one for all together.

    Args:
        thresholds: shape (n,).
        per_word: false alarms per hour of each word at each threshold, shape (n,).
        wanted: a rate to draw a line at.
    """
    figure, axes = empty(8, 5.5)
    for word, alarms in per_word.items():
        axes.plot(thresholds, alarms, linewidth=1, label=word)
    together = [sum(alarms) for alarms in zip(*per_word.values(), strict=True)]
    axes.plot(thresholds, together, "k", linewidth=2.5, label="all together")
    if wanted is not None:
        axes.axhline(wanted, color="k", linestyle=":", label="wanted")
    axes.set_ylim(bottom=0)
    axes.set_xlabel("threshold")
    axes.set_ylabel("false alarms per hour")
    axes.set_title(title, fontsize=8)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8, ncols=2)
    return as_png(figure)
