"""argparse, with the rules that all commands share.

Long options must be spelled out, and ``-`` and ``_`` in their names are equal. Usage errors are one line, with the
option or command that was probably meant.
"""

import argparse
import difflib
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NoReturn

MAY_REPEAT = ("model",)
"""Options of one value that may be repeated; the last one counts."""


class Parser(argparse.ArgumentParser):
    """An ArgumentParser without abbreviations that takes ``--clip_stride_ms`` for ``--clip-stride-ms``.

    Args:
        example: a command line shown at the end of ``--help``.
        commands: names that may take the place of the first option, for hints.
        more: returns text that follows the description in ``--help``; called only for that.
        once: reject options of one value that are given twice, except MAY_REPEAT.
    """

    def __init__(
        self,
        *args: Any,
        example: str = "",
        commands: Sequence[str] = (),
        more: Callable[[], str] | None = None,
        once: bool = False,
        **kwargs: Any,
    ) -> None:
        kwargs["allow_abbrev"] = False
        if example:
            kwargs["epilog"] = f"example: {example}"
        kwargs.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        super().__init__(*args, **kwargs)
        self._commands, self._more = commands, more
        self.given: set[str] = set()
        if once:
            for name in (None, "store"):
                self.register("action", name, _Once)

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        parsed, unknown = self.parse_known_args(args, namespace)
        if unknown := [arg for arg in unknown if arg != "--"]:
            self._refuse(unknown)
        return parsed

    def parse_known_args(self, args: Sequence[str] | None = None, namespace: Any = None) -> Any:  # type: ignore[override]
        if args is None:
            import sys

            args = sys.argv[1:]
        self.given.clear()
        return super().parse_known_args([self._canonical(arg) for arg in args], namespace)

    def format_help(self) -> str:
        if self._more is not None:
            self.description, self._more = f"{self.description}\n\n{self._more()}", None
        return super().format_help()

    def error(self, message: str) -> NoReturn:
        """Exits with 2 and one line, without the usage that argparse would print first."""
        text = message.removeprefix("argument ").rstrip(".")
        text = re.sub(r"invalid (.+?) value: (.*)", _allowed, text, flags=re.DOTALL)
        if choice := re.search(r"invalid choice: '?(.*?)'? \(choose from (.*)\)", text):
            known = re.findall(r"[\w-]+", choice[2])
            text = f"{text[: choice.start()]}got {choice[1]!r}; allowed: {', '.join(known)}{_meant(choice[1], known)}"
        stop = "" if text.endswith("?") else "."
        self.exit(2, f"{self.prog.split()[0]}: {' '.join(text.split())}{stop} See {self.prog} --help.\n")

    def _refuse(self, unknown: Sequence[str]) -> NoReturn:
        """Exits because of unknown arguments. Their values may be secrets and are not shown."""
        option = next((arg for arg in unknown if arg.startswith("-")), unknown[0])
        name = (unknown[0] if self._commands else option).partition("=")[0]
        if name.startswith("-"):
            self.error(f"{name}: no such option{_meant(self._canonical(name), self._option_string_actions)}")
        if name in self._commands:
            self.error(f"{name}: a command comes first, as in `{self.prog} {name}`")
        if self._commands:
            self.error(f"{name}: no such command{_meant(name, self._commands)}")
        self.error(f"{name}: one argument too many")

    def _canonical(self, arg: str) -> str:
        """The option as declared, if ``arg`` spells it with other separators."""
        if not arg.startswith("--") or arg == "--":
            return arg
        name, equals, value = arg[2:].partition("=")
        for declared in (name.replace("_", "-"), name.replace("-", "_")):
            if f"--{declared}" in self._option_string_actions:
                return f"--{declared}{equals}{value}"
        return arg


class _Once(argparse.Action):
    """Stores a value. A second one would silently replace the first, so it is an error."""

    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: str | None = None) -> None:
        if self.option_strings and self.dest not in MAY_REPEAT:
            if self.dest in parser.given:
                raise argparse.ArgumentError(self, "given twice, but takes a single value")
            parser.given.add(self.dest)
        setattr(namespace, self.dest, values)


def _allowed(told: "re.Match[str]") -> str:
    """argparse's words about a value of the wrong type, in those of kwsd's other faults."""
    kind = {"int": "whole number", "float": "number"}.get(told[1], told[1])
    return f"got {told[2]}; allowed: a {kind}"


def _meant(word: str, known: Iterable[str]) -> str:
    """A question about the known name that is most like ``word`` or begins with it."""
    names = list(known)
    near = [name for name in names if len(word) > 3 and name.startswith(word)]
    near = near or difflib.get_close_matches(word[:64], names, 1)
    return f". Did you mean {near[0]}?" if near else ""


def add_recognize_arguments(parser: argparse.ArgumentParser) -> None:
    """The recogniser's settings, under the tutorial's names, for every command that detects words."""
    from kwsd.config import flag

    group = parser.add_argument_group(
        "recogniser (default: from the configuration, else from the model, else as shown)"
    )
    for name, metavar, text in (
        ("mode", "MODE", "rules that turn scores into words: rearm (default), repeat, tensorflow, android or micro"),
        ("clip_stride_ms", "MS", "time from one scored clip to the next (default: 30, rounded up to whole rows)"),
        ("average_window_ms", "MS", "average the scores over this time (default: 500)"),
        ("suppression_ms", "MS", "after a word, report no other for this long (default: 700)"),
        ("minimum_count", "N", "ignore averages of fewer scores than this (default: 3)"),
        ("detection_threshold", "0..1", "averaged score that a word needs (default: 0.8)"),
        ("speech_threshold", "0..1", "in mode repeat, score also needed right after other speech (default: 0, off)"),
    ):
        option = f"--{name.replace('_', '-')}"
        group.add_argument(option, type=flag("recognize", name), metavar=metavar, help=text)
