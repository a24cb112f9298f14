"""From a stream of scores to words. The parts are imported when first used: settings need no numpy."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kwsd.recognize.recognize_commands import SILENCE, UNKNOWN, RecognizeCommands, Result

__all__ = ["SILENCE", "UNKNOWN", "RecognizeCommands", "Result"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from kwsd.recognize import recognize_commands

    return getattr(recognize_commands, name)
