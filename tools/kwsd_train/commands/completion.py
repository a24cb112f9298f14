"""``kwsd-train completion``: completion scripts for shells, generated from the commands' own options."""

import argparse

from kwsd.cli.completion import SCRIPTS, script

HELP = "print a shell's completion script for kwsd-train"
EXAMPLE = "kwsd-train completion bash > ~/.local/share/bash-completion/completions/kwsd-train"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", choices=tuple(SCRIPTS), help="the shell")


def run(args: argparse.Namespace) -> int:
    from kwsd_train.cli import program

    print(script(args.shell, program()), end="")
    return 0
