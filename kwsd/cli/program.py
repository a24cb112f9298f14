"""A program of several commands, as its completion scripts and its manual page describe it."""

import argparse
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple


class Program(NamedTuple):
    """kwsd, or kwsd-train.

    Attributes:
        name: as typed.
        commands: in the order of the help.
        parser_of: gives a command's module, and the parser of its arguments.
        default: the command that runs if none is given; empty if one is required.
    """

    name: str
    commands: Sequence[str]
    parser_of: Callable[[str], tuple[Any, argparse.ArgumentParser]]
    default: str = ""

    @property
    def others(self) -> list[str]:
        """The commands that have to be given."""
        return [command for command in self.commands if command != self.default]

    @property
    def identifier(self) -> str:
        """The name as shells' functions may have it."""
        return self.name.replace("-", "_")


def kwsd() -> Program:
    """kwsd itself."""
    from kwsd.cli.main import COMMANDS, parser_of

    return Program("kwsd", COMMANDS, parser_of, "run")
