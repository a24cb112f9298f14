"""``kwsd-train check-data``: reports problems and gaps in a data folder, before training on it."""

import argparse
from collections.abc import Iterator
from typing import Any

from kwsd.errors import InputError, KwsdError
from kwsd_train.data.findings import FAIL, Finding, Folder, of_names, of_sound
from kwsd_train.flags import options
from kwsd_train.flags import table as flag_table
from kwsd_train.training import progress

HELP = "check a data folder for problems and gaps; exit code 66 if training would fail"
EXAMPLE = "kwsd-train check-data --wanted_words lumos --data_dir data/speech_commands"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    options.add_folders(parser)
    names = ("wanted_words", "sample_rate", "clip_duration_ms")
    options.add_flags(parser, "features", (flag for flag in flag_table.FEATURES if flag.name in names))
    options.add_flags(parser, "data", flag_table.SET)


def run(args: argparse.Namespace) -> int:
    progress.log_plainly()
    settings = options.resolve(args, options.FEATURE_DEFAULTS | options.DATA_DEFAULTS)
    where = options.folders(args)
    folder, words = Folder(where.data, settings), options.words(settings)
    found = []
    for finding in _findings(folder, words, settings, where):
        found.append(finding)
        print(f"{finding.level}  {finding.text}", flush=True)
    if any(finding.level == FAIL for finding in found):
        return InputError.exit_code
    every = sum(len(folder.training(word)) for word in folder.clips)
    wanted = sum(len(folder.training(word)) for word in words)
    print(f"ok    {wanted} clips of {len(words)} words and {every - wanted} of other words to train on")
    return 0


def _findings(folder: Folder, words: tuple[str, ...], settings: Any, where: options.Folders) -> Iterator[Finding]:
    try:
        by_name = list(of_names(folder, words, settings))
    except InputError as error:
        by_name = [Finding(FAIL, line) for line in error.lines]
    yield from by_name
    if any(finding.level == FAIL for finding in by_name):
        return
    from kwsd_train.batches.training_data import load_data

    try:  # decodes what training will need, which then finds it in the cache
        data = load_data({**settings, **_PLAIN}, where)
    except KwsdError as error:
        yield from (Finding(FAIL, line) for line in error.lines)
        return
    yield from of_sound(data, settings)


_PLAIN = {"sampling": "balanced", "noise_frequency": 0.0, "speech_percentage": 0.0, "reverberation_frequency": 0.0}
"""All other words, without noise, speech or rooms."""
