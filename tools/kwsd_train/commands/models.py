"""``kwsd-train models``: the networks, with their sizes and costs."""

import argparse
import json
from pathlib import Path

from kwsd.whole_file import write_whole
from kwsd_train import networks
from kwsd_train.flags import options
from kwsd_train.flags import table as flag_table
from kwsd_train.training import progress, tensorflow_import

HELP = "list the architectures with their parameters and multiply-adds"
EXAMPLE = "kwsd-train models --window_stride_ms 20"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    options.add_flags(parser, "features", flag_table.FEATURES)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the table as JSON")


def run(args: argparse.Namespace) -> int:
    settings = options.resolve(args, options.FEATURE_DEFAULTS)
    from kwsd_train.batches.features import shape

    frames, width = shape(settings)
    if args.model_architecture:
        networks.check(args.model_architecture)
    progress.log_plainly()
    tensorflow_import.load()
    labels = len(options.words(settings)) + 2
    print(f"{'name':<22}{'parameters':>12}{'multiply-adds':>16}   features {frames}x{width}, {labels} labels")
    rows = []
    for name in [args.model_architecture] if args.model_architecture else networks.FAMILIES:
        model = networks.build(name, frames, width, labels)
        parameters, multiply_adds = networks.parameters(model), networks.multiply_adds(model)
        print(f"{networks.title(name):<22}{parameters:>12,}{multiply_adds:>16,}", flush=True)
        rows.append({"name": name, "parameters": parameters, "multiply_adds": multiply_adds})
    if args.json:
        write_whole(args.json, json.dumps(rows, indent=1) + "\n")
    return 0
