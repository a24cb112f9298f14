"""argparse, with the two rules that all commands share.

Long options go by their exact names only, and ``-`` and ``_`` in a name are equal.
"""

import argparse
from collections.abc import Sequence
from typing import Any


class Parser(argparse.ArgumentParser):
    """An ArgumentParser without abbreviations that takes ``--clip_stride_ms`` for ``--clip-stride-ms``.

    Args:
        example: a command line shown at the end of ``--help``.
    """

    def __init__(self, *args: Any, example: str = "", **kwargs: Any) -> None:
        kwargs["allow_abbrev"] = False
        if example:
            kwargs["epilog"] = f"example: {example}"
        kwargs.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        super().__init__(*args, **kwargs)

    def parse_known_args(self, args: Sequence[str] | None = None, namespace: Any = None) -> Any:  # type: ignore[override]
        if args is None:
            import sys

            args = sys.argv[1:]
        return super().parse_known_args([self._canonical(arg) for arg in args], namespace)

    def _canonical(self, arg: str) -> str:
        """The option as it was declared, when ``arg`` names it with other separators."""
        if not arg.startswith("--") or arg == "--":
            return arg
        name, equals, value = arg[2:].partition("=")
        for declared in (name.replace("_", "-"), name.replace("-", "_")):
            if f"--{declared}" in self._option_string_actions:
                return f"--{declared}{equals}{value}"
        return arg


def add_recognize_arguments(parser: argparse.ArgumentParser) -> None:
    """The recogniser's settings, under the tutorial's names, for every command that spots words."""
    from kwsd.config import flag

    group = parser.add_argument_group("recogniser (what is left out comes from the config, the model, the defaults)")
    for name, metavar, text in (
        ("mode", "MODE", "how averaged scores become words: rearm (default), repeat, tensorflow, android, micro"),
        ("clip_stride_ms", "MS", "time from one scored window to the next"),
        ("average_window_ms", "MS", "scores are averaged over this time"),
        ("suppression_ms", "MS", "nothing new within this time of a word"),
        ("minimum_count", "N", "averages of fewer scores do not count"),
        ("detection_threshold", "0..1", "a word needs a score above this"),
        ("speech_threshold", "0..1", "in running speech above this, too, in mode repeat"),
    ):
        option = f"--{name.replace('_', '-')}"
        group.add_argument(option, type=flag("recognize", name), metavar=metavar, help=text)
