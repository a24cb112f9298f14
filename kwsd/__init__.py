"""kwsd: a daemon that hears its words.

`Spotter` is the whole pipeline, for programs that have samples; `watch` yields the events of a running daemon;
`model.load`, `frontend.create` and `recognize.RecognizeCommands` are the parts. Each is imported when it is first
used, so that ``import kwsd`` costs nothing.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kwsd import errors, events, frontend, model, recognize
    from kwsd.client import watch
    from kwsd.spotter import Spotter

__all__ = ["Spotter", "__version__", "errors", "events", "frontend", "model", "recognize", "watch"]

__version__ = "0.1.0"

_HOMES = {"Spotter": "kwsd.spotter", "watch": "kwsd.client"}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    return importlib.import_module(f"{__name__}.{name}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
