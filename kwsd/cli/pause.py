"""``kwsd pause``: pauses a running kwsd."""

import argparse

from kwsd.cli.asking import add_for_argument, add_socket_argument, request

HELP = "Pauses a running kwsd and closes its microphone. It listens again after a time, or at `kwsd resume`."
EXAMPLE = "kwsd pause --for 30m"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_socket_argument(parser)
    add_for_argument(parser, "until kwsd resume")


def run(args: argparse.Namespace) -> int:
    return request(args, "pause", for_s=args.for_s)
