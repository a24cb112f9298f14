"""``kwsd resume``: ends a pause."""

import argparse

from kwsd.cli.asking import add_socket_argument, request

HELP = "Makes a paused kwsd listen again."
EXAMPLE = "kwsd resume"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_socket_argument(parser)


def run(args: argparse.Namespace) -> int:
    return request(args, "resume")
