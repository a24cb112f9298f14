"""``kwsd disarm``: disarms words before their time is over."""

import argparse

from kwsd.cli.asking import add_socket_argument, request
from kwsd.cli.run import words

HELP = "Disarms words in a running kwsd."
EXAMPLE = "kwsd disarm stop"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("labels", type=words, nargs="?", metavar="LABEL[,LABEL]", help="words to disarm (default: all)")
    add_socket_argument(parser)


def run(args: argparse.Namespace) -> int:
    return request(args, "disarm", labels=None if args.labels is None else list(args.labels))
