"""kwsd: a daemon that hears its words.

`Spotter` is the whole pipeline for programs that have samples; `watch` hands out the events of a running daemon. Both
are imported when first asked for, so that ``import kwsd`` costs nothing.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kwsd.client import watch
    from kwsd.spotter import Spotter

__all__ = ["Spotter", "__version__", "watch"]

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name == "Spotter":
        from kwsd.spotter import Spotter

        return Spotter
    if name == "watch":
        from kwsd.client import watch

        return watch
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
