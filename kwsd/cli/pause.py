"""``kwsd pause``: a running kwsd hears nothing for a while."""

import argparse

from kwsd.cli.asking import add_for_argument, add_socket_argument, request

HELP = "Has a running kwsd hear nothing and close the microphone, for a time or until `kwsd resume`."
EXAMPLE = "kwsd pause --for 30m"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_socket_argument(parser)
    add_for_argument(parser, "how long, 1 s to 7 days (default: until kwsd resume)")


def run(args: argparse.Namespace) -> int:
    return request(args, "pause", for_s=args.for_s)
