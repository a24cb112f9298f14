"""``kwsd-train COMMAND``: finds the command, runs it, turns errors into one line and an exit code."""

import importlib
import signal
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from kwsd import __version__
from kwsd.cli import standard_output
from kwsd.cli.parser import Parser
from kwsd.cli.program import Program
from kwsd.errors import KwsdError
from kwsd_train.extra import missing
from kwsd_train.flags import outputs as files
from kwsd_train.training.interruption import Stopped

COMMANDS = (
    "train",
    "freeze",
    "evaluate",
    "models",
    "label-wav",
    "label-wav-dir",
    "wav-to-spectrogram",
    "wav-to-features",
    "generate-streaming-test-wav",
    "test-streaming-accuracy",
    "sweep",
    "download",
    "record",
    "import",
    "check-data",
    "synthesize",
    "tune",
    "completion",
    "manual",
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. Each is a module with HELP, EXAMPLE, add_arguments(parser) and run(args)."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if argv is None:  # run as a program: SIGTERM ends it like Ctrl-C
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    standard_output.prepare()
    try:
        with standard_output.flushed():
            return _run(arguments)
    except KwsdError as error:
        return _complain(error)
    except ModuleNotFoundError as error:
        if (told := missing(error)) is None:
            raise
        return _complain(told)
    except Stopped as stopped:
        print(f"kwsd-train: {stopped.line}", file=sys.stderr)
        return stopped.exit_code
    except KeyboardInterrupt:
        return 0
    except standard_output.ReaderGoneError:
        standard_output.forget()
        return 0


def _run(arguments: list[str]) -> int:
    if not arguments or arguments[0] not in COMMANDS:
        _end_without_command(arguments)
    module, parser = parser_of(arguments[0])
    args = parser.parse_args(arguments[1:])
    files.check_outputs(vars(args))
    return int(module.run(args))


def _complain(error: KwsdError) -> int:
    for line in error.lines:
        print(f"kwsd-train: {line}", file=sys.stderr)
    if isinstance(error, standard_output.StandardOutputError):
        standard_output.forget()
    return error.exit_code


def _module(command: str) -> Any:
    return importlib.import_module(f"kwsd_train.commands.{command.replace('-', '_')}")


def parser_of(command: str) -> tuple[Any, Parser]:
    """A command's module, and the parser of its arguments."""
    module = _module(command)
    parser = Parser(prog=f"kwsd-train {command}", description=module.HELP, example=module.EXAMPLE)
    module.add_arguments(parser)
    return module, parser


def program() -> Program:
    """kwsd-train as its completion scripts and its manual page describe it."""
    return Program("kwsd-train", COMMANDS, parser_of)


def _end_without_command(arguments: list[str]) -> NoReturn:
    """Exits with 0 after --help or --version, else with 2."""
    helps = {name: _module(name).HELP for name in COMMANDS}
    parser = Parser(
        prog="kwsd-train",
        usage="kwsd-train COMMAND [options]",
        description="Trains keyword models, freezes them to .tflite files for kwsd, and measures them.\n\n"
        "commands (kwsd-train COMMAND --help):\n" + "\n".join(f"  {name:28} {text}" for name, text in helps.items()),
        example="kwsd-train train --data_dir data/speech_commands --train_dir /tmp/speech_commands_train",
        commands=COMMANDS,
    )
    parser.add_argument("--version", action="version", version=f"kwsd-train {__version__}")
    parser.parse_args(arguments)
    parser.error(f"no command; there are {', '.join(COMMANDS)}")
