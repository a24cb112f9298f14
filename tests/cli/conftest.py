"""Run a command as kwsd.cli.main does, but without its handlers for the whole process."""

import importlib

import pytest

from kwsd.cli.main import complain
from kwsd.cli.parser import Parser
from kwsd.errors import KwsdError


@pytest.fixture
def kwsd():
    """A function: the words of a command line to the exit code."""

    def run(command, *arguments):
        module = importlib.import_module(f"kwsd.cli.{command}")
        parser = Parser(prog=f"kwsd {command}", description=module.HELP, example=module.EXAMPLE)
        module.add_arguments(parser)
        args = parser.parse_args(arguments)
        try:
            return module.run(args)
        except KwsdError as error:
            for line in error.lines:
                complain(line)
            return error.exit_code

    return run
