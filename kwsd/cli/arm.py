"""``kwsd arm``: makes words count for a while, such as "stop" while a timer rings."""

import argparse

from kwsd.cli.asking import add_for_argument, add_socket_argument, request
from kwsd.cli.run import words

HELP = "Arms words in a running kwsd: they are detected more easily. Words of `on_demand` fire only while armed."
EXAMPLE = "kwsd arm stop --for 60s"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from kwsd.config import flag

    parser.add_argument("labels", type=words, metavar="LABEL[,LABEL]", help="words to arm")
    add_socket_argument(parser)
    add_for_argument(parser, "until kwsd disarm")
    parser.add_argument(
        "--threshold",
        type=flag("recognize", "armed_threshold"),
        metavar="0..1",
        help="averaged score that they need (default: the setting armed_threshold)",
    )


def run(args: argparse.Namespace) -> int:
    return request(args, "arm", labels=list(args.labels), for_s=args.for_s, threshold=args.threshold)
