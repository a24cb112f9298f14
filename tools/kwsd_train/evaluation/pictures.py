"""What the tool's pictures share."""

import io
from typing import Any


def need_matplotlib() -> None:
    """Raises ModuleNotFoundError without it; called before the work that a picture would show."""
    import matplotlib  # noqa: F401


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
