"""What the tool's plots share."""

from kwsd.tuning.plot import as_png, empty

__all__ = ["as_png", "empty", "need_matplotlib"]


def need_matplotlib() -> None:
    """Raises ModuleNotFoundError without it; called before the work that a plot would show."""
    import matplotlib  # noqa: F401
