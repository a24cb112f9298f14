"""Arguments -> one command; no logic of its own.

``kwsd`` without a command, and ``kwsd run``, is the daemon. The modules of the other commands, and what they
import, are loaded only when used.
"""

import faulthandler
import importlib
import signal
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from kwsd import __version__
from kwsd.cli import standard_output
from kwsd.daemon.signals import hold_hangup
from kwsd.errors import KwsdError, OutputError

if TYPE_CHECKING:
    from kwsd.cli.parser import Parser

COMMANDS = (
    *("run", "watch", "status", "pause", "resume", "arm", "disarm", "report"),
    *("check-config", "devices", "doctor", "info", "label", "learn", "meter", "scan", "tune"),
    *("install-service", "uninstall-service", "completion", "manual"),
)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code; errors that a user can fix become one line each."""
    try:
        signal.signal(signal.SIGTERM, _interrupt)
        command, arguments = command_of(list(sys.argv[1:] if argv is None else argv))
        if command == "run":
            hold_hangup()
        _fill_standard_files()
        standard_output.prepare()
        with standard_output.flushed():
            return _run(command, arguments)
    except KwsdError as error:
        for line in error.lines:
            complain(line)
        if isinstance(error, OutputError):
            standard_output.forget()
        return error.exit_code
    except KeyboardInterrupt:
        return 0
    except BrokenPipeError:  # the reader of our output has gone
        standard_output.forget()
        return 0


def command_of(arguments: list[str]) -> tuple[str, list[str]]:
    """The command, and its arguments."""
    if arguments and arguments[0] in COMMANDS:
        return arguments[0], arguments[1:]
    if arguments and arguments[0] in ("-h", "--help"):
        return "run", ["--help"]
    return "run", arguments


def _run(command: str, arguments: list[str]) -> int:
    from kwsd import log  # not at the top, so that signal handlers are set as early as possible

    module, parser = parser_of(command)
    args = parser.parse_args(arguments)
    log.setup()
    faulthandler.register(signal.SIGUSR1)  # prints the stacks of all threads to standard error
    return int(module.run(args))


def parser_of(command: str) -> "tuple[Any, Parser]":
    """A command's module, and the parser of its arguments."""
    from kwsd.cli.parser import Parser

    module = importlib.import_module(f"kwsd.cli.{command.replace('-', '_')}")
    parser = Parser(
        prog="kwsd" if command == "run" else f"kwsd {command}",
        description=module.HELP,
        example=module.EXAMPLE,
        commands=COMMANDS if command == "run" else (),
        more=_list_of_commands if command == "run" else None,
        once=True,
    )
    if command == "run":
        parser.add_argument("--version", action="version", version=f"kwsd {__version__}")
    module.add_arguments(parser)
    return module, parser


def _list_of_commands() -> str:
    """The other commands, each with the first sentence of its help; imports all of them."""
    helps = {name: importlib.import_module(f"kwsd.cli.{name.replace('-', '_')}").HELP for name in COMMANDS[1:]}
    rows = (f"  {name:18} {' '.join(text.split()).partition('. ')[0].rstrip('.')}" for name, text in helps.items())
    return "\n".join(("other commands (kwsd COMMAND --help):", *rows))


def complain(line: str) -> None:
    """Prints an error line to standard error."""
    from kwsd import standard_error

    standard_error.write(f"kwsd: {line}")


def _fill_standard_files() -> None:
    """Opens /dev/null for closed standard files, lest the next file opened take their place; sets Python's stderr."""
    import os

    while (fd := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(fd, True)
    os.close(fd)
    if sys.stderr is None:  # faulthandler needs one, and `print` to None would go to standard output
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115, PTH123


def _interrupt(_signum: int, _frame: object) -> NoReturn:
    raise KeyboardInterrupt
