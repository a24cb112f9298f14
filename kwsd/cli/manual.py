"""``kwsd manual``: the manual page kwsd(1), generated from the commands' own options."""

import argparse
import re

HELP = "Prints the manual page, in the format of man(1)."
EXAMPLE = "kwsd manual | man -l -"

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


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = f"{HELP} It describes all commands and options."


def run(_args: argparse.Namespace) -> int:
    print(page(), end="")
    return 0


def page() -> str:
    """The manual page, in the macros of man(7)."""
    from kwsd import __version__
    from kwsd.cli.main import COMMANDS

    lines = [
        f'.TH KWSD 1 "" "kwsd {__version__}" "User Commands"',
        ".SH NAME",
        r"kwsd \- detects a handful of spoken words and reports them to programs",
        ".SH SYNOPSIS",
        r"\fBkwsd\fR [\fIoptions\fR]",
        ".br",
        r"\fBkwsd\fR \fIcommand\fR [\fIoptions\fR]",
        ".SH DESCRIPTION",
        _roff(_DESCRIPTION),
        ".PP",
        "Without a command, or with the command run, kwsd runs the daemon.",
        ".SH COMMANDS",
    ]
    for command in COMMANDS:
        lines += _command(command)
    lines += [".SH FILES", *_definitions(_FILES), ".SH EXIT STATUS", *_definitions(_CODES)]
    return "\n".join([*lines, ".SH SEE ALSO", r"\fBsystemctl\fR(1), \fBjournalctl\fR(1)"]) + "\n"


def _command(command: str) -> list[str]:
    from kwsd.cli.main import parser_of

    module, parser = parser_of(command)
    lines = [f".SS {_roff(f'kwsd {command}')}", _roff(module.HELP)]
    for action in parser._actions:
        if action.help == argparse.SUPPRESS or action.dest == "help":
            continue
        names = ", ".join(rf"\fB{_roff(name)}\fR" for name in action.option_strings)
        value = "" if action.nargs == 0 else rf"\fI{_roff(_value(action))}\fR"
        text = parser._get_formatter()._expand_help(action) if action.help else ""
        lines += [".TP", " ".join(filter(None, (names, value))), _roff(text)]
    return [*lines, ".PP", f"Example: {_roff(module.EXAMPLE)}"]


def _value(action: argparse.Action) -> str:
    """The placeholder of an option's value, or of an argument."""
    if action.metavar is not None:
        return str(action.metavar)
    return "|".join(map(str, action.choices)) if action.choices else action.dest


def _definitions(pairs: tuple[tuple[str, str], ...]) -> list[str]:
    return [line for name, text in pairs for line in (".TP", rf"\fB{_roff(name)}\fR", _roff(text))]


def _roff(text: str) -> str:
    """Text for roff: one line that does not begin like a request."""
    text = " ".join(text.split()).replace("\\", r"\e").replace("-", r"\-")
    return re.sub(r"^([.'])", r"\\&\1", text)
