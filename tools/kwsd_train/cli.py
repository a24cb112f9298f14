"""``kwsd-train COMMAND``: finds the command, runs it, turns errors into one line and an exit code."""

import importlib
import signal
import sys
from collections.abc import Sequence

from kwsd.arguments import Parser
from kwsd.errors import KwsdError

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
    "check-data",
    "synthesize",
    "tune",
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command."""
    args = parser().parse_args(argv)
    if argv is None:  # a program of its own: SIGTERM ends it as Ctrl-C does
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        code: int = args.run(args)
    except KwsdError as error:
        for line in error.lines:
            print(f"kwsd-train: {line}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 0
    return code


def parser() -> Parser:
    """All commands. Each is a module with HELP, EXAMPLE, add_arguments(parser) and run(args)."""
    found = Parser(
        prog="kwsd-train",
        description="Trains keyword models, freezes them to .tflite files for kwsd, and measures them.",
        example="kwsd-train train --data_dir data/speech_commands --train_dir /tmp/speech_commands_train",
    )
    commands = found.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name in COMMANDS:
        module = importlib.import_module(f"kwsd_train.{name.replace('-', '_')}")
        command = commands.add_parser(name, help=module.HELP, description=module.HELP, example=module.EXAMPLE)
        module.add_arguments(command)
        command.set_defaults(run=module.run)
    return found
