"""A plot of detection-error trade-off curves."""

from collections.abc import Mapping, Sequence
from typing import Any

from kwsd_train.evaluation import pictures


def draw(points: Sequence[Mapping[str, Any]], title: str, chosen: Mapping[str, Any] | None) -> bytes:
    """A PNG with a line for each word and one for their mean: miss rate against false alarms per hour.

    Args:
        points: a curve from `kwsd_train.evaluation.curves.Curve.points`.
        chosen: rates of the recommended settings, marked by a star.

    Raises ModuleNotFoundError if matplotlib is not installed.
    """
    figure, axes = pictures.empty(8, 5.5)
    words = list(points[0]["per_word"])
    for word in words:
        line = [point["per_word"][word] for point in points]
        if line[0]["miss_rate"] is not None:
            axes.plot(
                [item["false_alarms_per_hour"] for item in line],
                [100 * item["miss_rate"] for item in line],
                linewidth=1,
                label=word,
            )
    alarms = [point["false_alarms_per_hour"] / len(words) for point in points]
    axes.plot(
        alarms, [100 * point["mean_miss_rate"] for point in points], "k", linewidth=2.5, label="mean of the words"
    )
    if chosen is not None:
        place = [chosen["false_alarms_per_hour"] / len(words)], [100 * chosen["mean_miss_rate"]]
        axes.plot(*place, "k*", markersize=14, label="recommended")
    axes.set_xscale("symlog", linthresh=0.1)
    axes.set_xlim(left=0)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("false alarms per hour and word")
    axes.set_ylabel("missed, %")
    axes.set_title(title, fontsize=8)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8, ncols=2)
    return pictures.as_png(figure)
