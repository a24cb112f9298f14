"""``kwsd scan``: finds the words in recordings, on all cores or a cluster."""

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kwsd.scan.archive import Wanted
    from kwsd.scan.pool import Pool
    from kwsd.scan.score import Scorer
    from kwsd.scan.work import Hearing

HELP = "Finds the words in recordings, on all cores. Words and times are those of kwsd --source."
EXAMPLE = "kwsd scan calls/ --only stop,go --output found/ --resume"
CHUNK_S = 60


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from kwsd.cli.options import MODEL_HELP, add_channel_arguments, add_listener_argument
    from kwsd.cli.parser import add_recognize_arguments
    from kwsd.cli.run import words

    add = parser.add_argument
    add("paths", nargs="*", metavar="PATH", help="recording, folder (searched recursively), or address (s3://...)")
    add("--files-from", metavar="LIST", help="file with further paths, one per line; - for standard input")
    add(
        "-c",
        "--config",
        metavar="FILE",
        help="configuration file (YAML): model (of several the first), only, recognize, audio.channel, audio.gain_db",
    )
    add_listener_argument(parser, "listener of the configuration (default: the first)")
    add("-m", "--model", metavar="MODEL", help=MODEL_HELP)
    add("--only", type=words, metavar="LABEL,..", help="words to report (default: all)")
    add_channel_arguments(parser, "recordings")

    output = parser.add_argument_group("output (standard output: one JSON line per word)")
    add = output.add_argument
    add(
        "--output",
        metavar="DIR",
        help="also write one JSON lines file per recording, DIR/NAME.jsonl, whole or not at all",
    )
    add("--resume", action="store_true", help="skip recordings whose file exists in DIR")
    add(
        "--labels",
        action="store_true",
        help="write Audacity label tracks: DIR/NAME.txt, or without DIR, standard output",
    )
    add("--cut", metavar="DIR", help="cut out each word, one clip long, as DIR/WORD/NAME.flac, for kwsd-train to read")
    add("--parquet", metavar="FILE", help="write all words to one Parquet file (requires kwsd[scan-parquet])")
    add("--no-stdout", action="store_true", help="do not write words to standard output")
    add("-q", "--quiet", action="store_true", help="no progress and no table on standard error")
    add("--strict", action="store_true", help="exit with 66 if any recording could not be read, not only if none could")

    where = parser.add_argument_group("workers (default: one process per core)")
    add = where.add_argument
    add("--jobs", type=_count, metavar="N", help="number of processes on this machine")
    add(
        "--scheduler",
        metavar="ADDRESS",
        help="use a Dask scheduler's workers: tcp://HOST:8786 or tls:// (requires kwsd[scan])",
    )
    add(
        "--local-cluster", type=_count, metavar="N", help="start a Dask cluster of N workers here (requires kwsd[scan])"
    )

    add_recognize_arguments(parser)


def run(args: argparse.Namespace) -> int:
    import re

    from kwsd.errors import UsageError
    from kwsd.scan import archive
    from kwsd.scan.inputs import read_list

    wanted = _wanted(args)
    if sum(value is not None for value in (args.jobs, args.scheduler, args.local_cluster)) > 1:
        raise UsageError("--jobs, --scheduler, --local-cluster", "only one of them can do the work")
    if args.scheduler is not None and not re.fullmatch(r"(tcp|tls)://\S+:\d+", args.scheduler):
        raise UsageError("--scheduler", f"got {args.scheduler!r}; allowed: tcp://HOST:PORT or tls://HOST:PORT")
    if not args.paths and args.files_from is None:
        raise UsageError("PATH", "nothing to scan was named", "See kwsd scan --help.")
    named = [*args.paths, *(read_list(args.files_from) if args.files_from is not None else ())]
    if args.scheduler is not None:
        named = [_everywhere(name) for name in named]
    hearing, scorer = _hearing(args)
    return archive.run(named, hearing, scorer, wanted, lambda: _pool(args))


def _everywhere(name: str) -> str:
    """A file's name for a worker, independent of the worker's working folder."""
    import os

    return name if "://" in name or name == "" else os.path.abspath(name)  # noqa: PTH100 - links stay as they are


def _wanted(args: argparse.Namespace) -> "Wanted":
    from pathlib import Path

    from kwsd.errors import UsageError
    from kwsd.scan.archive import Wanted

    if args.resume and args.output is None:
        raise UsageError("--resume", "requires --output DIR, which holds earlier results", "Add it.")
    output, cut, parquet = (None if each is None else Path(each) for each in (args.output, args.cut, args.parquet))
    return Wanted(output, args.resume, args.labels, cut, parquet, not args.no_stdout, args.strict, args.quiet)


def _hearing(args: argparse.Namespace) -> "tuple[Hearing, Scorer]":
    """The settings as ``kwsd --source`` would have them, and the model."""
    from dataclasses import fields, replace

    from kwsd import config
    from kwsd.cli.options import first_model, settings_of
    from kwsd.config.effective import Plan
    from kwsd.model import bundled_names
    from kwsd.model.catalogue import JOINT, parts
    from kwsd.recognize.settings import RecognizeSettings
    from kwsd.scan.score import Scorer
    from kwsd.scan.work import Hearing

    settings = config.load(args.config) if args.config is not None else config.Settings()
    settings = settings_of(settings, args.listener)
    given = {name: value for name in ("model", "only") if (value := getattr(args, name)) is not None}
    sound = {name: value for name in ("channel", "gain_db") if (value := getattr(args, name)) is not None}
    flags = {each.name: getattr(args, each.name, None) for each in fields(RecognizeSettings)}
    plan = Plan(
        settings.override(**given, audio=replace(settings.audio, **sound)),
        RecognizeSettings(**{name: value for name, value in flags.items() if value is not None}),
    )
    model, recognize, only = first_model(plan)
    scorer = Scorer(model, recognize.clip_stride_ms)
    clips = max(1, CHUNK_S * model.sample_rate_hz // scorer.grid.stride_samples)
    audio = plan.settings.audio
    said, name = plan.settings, plan.settings.models[0].model
    hearing = Hearing(
        JOINT.join(each if each in bundled_names() else _everywhere(each) for each in filter(None, parts(name))),
        None if said.labels is None else _everywhere(said.labels),
        None if said.frontend is None else _everywhere(said.frontend),
        model.fingerprint,
        recognize,
        only,
        audio.channel,
        audio.gain_db,
        clips,
    )
    return hearing, scorer


def _pool(args: argparse.Namespace) -> "Pool":
    import os

    if args.scheduler is not None or args.local_cluster is not None:
        from kwsd.scan import cluster

        return cluster.connect(args.scheduler) if args.scheduler is not None else cluster.start(args.local_cluster)
    from kwsd.scan.local import LocalPool

    return LocalPool(args.jobs or len(os.sched_getaffinity(0)))


def _count(text: str) -> int:
    count = int(text)
    if not 1 <= count <= 4096:
        raise ValueError
    return count


_count.__name__ = "whole number from 1"  # argparse names the type in its message
