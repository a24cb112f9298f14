"""``kwsd manual``: the manual page kwsd(1), generated from the commands' own options."""

import argparse
import re
from collections.abc import Sequence
from typing import NamedTuple

from kwsd.cli.program import Program, kwsd

HELP = "Prints the manual page, in the format of man(1)."
EXAMPLE = "kwsd manual | man -l -"

Pairs = Sequence[tuple[str, str]]


class Text(NamedTuple):
    """What a manual page says beside the commands and their options.

    Attributes:
        title: the program in a few words.
        description: paragraphs.
        files, codes: each with its meaning.
        see_also: other pages.
    """

    title: str
    description: Sequence[str]
    files: Pairs
    codes: Pairs
    see_also: Sequence[tuple[str, int]]


_DESCRIPTION = """kwsd listens to a microphone and reports, within a fraction of a second, which of a handful of words
was spoken: on standard output, on a UNIX socket, and by webhooks, commands and more, as configured. Nothing heard is
stored or sent unless the configuration asks for it."""

_FILES = (
    ("/etc/kwsd/kwsd.yaml", "the configuration of the system service"),
    ("~/.config/kwsd/kwsd.yaml", "the configuration of a session's service"),
    ("/run/kwsd/kwsd.sock, $XDG_RUNTIME_DIR/kwsd/kwsd.sock", "the sockets of these services"),
)
_CODES = (
    ("0", "done, or stopped by SIGTERM or SIGINT"),
    ("2", "usage error"),
    ("66", "an input file cannot be read"),
    ("69", "no audio library, TFLite runtime or microphone (--no-wait), or no kwsd answers"),
    ("70", "a part of kwsd died; its error is the last line of the log"),
    ("74", "standard output cannot be written"),
    ("78", "configuration or model rejected"),
)


_TEXT = Text(
    "detects a handful of spoken words and reports them to programs",
    (_DESCRIPTION, "Without a command, or with the command run, kwsd runs the daemon."),
    _FILES,
    _CODES,
    (("systemctl", 1), ("journalctl", 1)),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = f"{HELP} It describes all commands and options."


def run(_args: argparse.Namespace) -> int:
    print(page(), end="")
    return 0


def page(program: Program | None = None, text: Text = _TEXT) -> str:
    """The manual page of a program, by default kwsd, in the macros of man(7)."""
    from kwsd import __version__

    program = program or kwsd()
    name = _roff(program.name)
    lines = [
        f'.TH {name.upper()} 1 "" "{name} {__version__}" "User Commands"',
        ".ad l",  # addresses and lists that fill a line leave nothing to adjust
        ".SH NAME",
        rf"{name} \- {_roff(text.title)}",
        ".SH SYNOPSIS",
        *([rf"\fB{name}\fR [\fIoptions\fR]", ".br"] if program.default else []),
        rf"\fB{name}\fR \fIcommand\fR [\fIoptions\fR]",
        ".SH DESCRIPTION",
        "\n.PP\n".join(map(_roff, text.description)),
        ".SH COMMANDS",
    ]
    for command in program.commands:
        lines += _command(program, command)
    lines += [".SH FILES", *_definitions(text.files), ".SH EXIT STATUS", *_definitions(text.codes)]
    others = ", ".join(rf"\fB{_roff(other)}\fR({section})" for other, section in text.see_also)
    return "\n".join([*lines, ".SH SEE ALSO", others]) + "\n"


def _command(program: Program, command: str) -> list[str]:
    module, parser = program.parser_of(command)
    lines = [f".SS {_roff(f'{program.name} {command}')}", _roff(module.HELP)]
    for action in parser._actions:
        if action.help == argparse.SUPPRESS or action.dest == "help":
            continue
        names = ", ".join(rf"\fB{_roff(name)}\fR" for name in action.option_strings)
        value = "" if action.nargs == 0 else rf"\fI{_roff(_value(action))}\fR"
        told = parser._get_formatter()._expand_help(action) if action.help else ""
        lines += [".TP", " ".join(filter(None, (names, value))), _roff(told)]
    return [*lines, ".PP", f"Example: {_roff(module.EXAMPLE)}"]


def _value(action: argparse.Action) -> str:
    """The placeholder of an option's value, or of an argument."""
    if action.metavar is not None:
        return action.metavar if isinstance(action.metavar, str) else " ".join(action.metavar)
    return "|".join(map(str, action.choices)) if action.choices else action.dest


def _definitions(pairs: Pairs) -> list[str]:
    return [line for name, text in pairs for line in (".TP", rf"\fB{_roff(name)}\fR", _roff(text))]


def _roff(text: str) -> str:
    """Text for roff: one line that does not begin like a request; long lists and addresses may be broken."""
    text = " ".join(text.split()).replace("\\", r"\e").replace("-", r"\-")
    text = re.sub(r"(?<=\S[,/|])(?=\S)", r"\\:", text)
    return re.sub(r"^([.'])", r"\\&\1", text)
