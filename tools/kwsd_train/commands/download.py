"""``kwsd-train download``: the Speech Commands data set, fetched and unpacked."""

import argparse
import re
import sys
import urllib.parse
from pathlib import Path, PurePosixPath

from kwsd.errors import InputError, OutputError, UsageError
from kwsd_train.data import fetch
from kwsd_train.data.folders import data_root
from kwsd_train.data.unpack import unpack

HELP = "download and unpack the Speech Commands data set (2.3 GiB), resuming where it stopped"
EXAMPLE = "kwsd-train download --data_dir data/speech_commands"

BASE_URL = "https://storage.googleapis.com/download.tensorflow.org/data/"
KNOWN_SHA256 = {
    "speech_commands_v0.01.tar.gz": "743935421bb51cccdb6bdd152e04c5c70274e935c82119ad7faeec31780d811d",
    "speech_commands_v0.02.tar.gz": "af14739ee7dc311471de98f5f9d2c9191b18aedfe957f4a6ff791c709868ff58",
}
"""As checked by torchaudio's datasets.speechcommands and other loaders."""

_LINE_PERCENT = 10


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    default = f"{BASE_URL}speech_commands_v0.02.tar.gz"
    add("--data_url", default=default, metavar="URL", help=f".tar.gz archive of word folders (default: {default})")
    add("--data_dir", type=Path, metavar="DIR", help="folder to fill (default: $KWSD_DATA/speech_commands)")
    add(
        "--sha256",
        metavar="HEX",
        help="checksum of the archive (default: known for v0.01 and v0.02; others are printed, not checked)",
    )
    add("--keep_archive", action="store_true", help="keep the archive in --data_dir after unpacking")


def run(args: argparse.Namespace) -> int:
    try:
        name = PurePosixPath(urllib.parse.unquote(urllib.parse.urlsplit(args.data_url).path)).name
    except ValueError as error:
        raise UsageError("--data_url", f"{args.data_url!r} is not an address: {error}") from error
    if not name or name == "..":
        raise UsageError("--data_url", f"{args.data_url!r} names no file")
    known = KNOWN_SHA256.get(name) if args.data_url.startswith(BASE_URL) else None
    wanted = (args.sha256 or known or "").lower()
    if wanted and not re.fullmatch("[0-9a-f]{64}", wanted):
        raise UsageError("--sha256", "must have 64 hexadecimal digits")
    folder = args.data_dir or data_root() / "speech_commands"
    archive, done = folder / name, folder / f".{name}.done"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if done.exists() and (not wanted or done.read_text().strip() == wanted):
            print(f"{name} is unpacked in {folder} already (remove {done} to do it again)")
            return 0
    except OSError as error:
        raise OutputError(str(folder), f"cannot be used: {error.strerror}", "Name another --data_dir.") from error
    if not archive.exists():
        fetch.fetch(args.data_url, archive, Progress(name))
    found = fetch.sha256(archive)
    if wanted and found != wanted:
        archive.unlink()
        raise InputError(args.data_url, f"its SHA-256 is {found}, not {wanted}; removed", "Download it again.")
    if not wanted:
        print(f"SHA-256 {found} (not checked; --sha256 {found} will)")
    try:
        count = unpack(archive, folder)
    except InputError:
        archive.unlink()  # or the next run would not download it again
        raise
    try:
        done.write_text(found + "\n")
        if not args.keep_archive:
            archive.unlink()
    except OSError as error:
        raise OutputError(str(folder), f"cannot be written: {error.strerror}") from error
    print(f"{count} files unpacked in {folder}")
    return 0


class Progress:
    """Shows the progress: in place on a terminal, else a line for each tenth.

    Args:
        name: the file's name.
    """

    def __init__(self, name: str) -> None:
        self._name, self._told = name, -1

    def __call__(self, there: int, total: int | None) -> None:
        on_terminal = sys.stderr.isatty()
        if total:
            grain = 1000 if on_terminal else 100 // _LINE_PERCENT
            place = there * grain // total
            amount = f"{100 * there / total:.1f}%"
        else:
            place = there >> (20 if on_terminal else 27)
            amount = f"{there / 2**20:.0f} MiB"
        if place == self._told:
            return
        self._told = place
        start, end = ("\r", "\n" if there == total else "") if on_terminal else ("", "\n")
        print(f"{start}>> Downloading {self._name} {amount}", end=end, file=sys.stderr, flush=True)
