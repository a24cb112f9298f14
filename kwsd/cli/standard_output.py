"""Standard output of kwsd and kwsd-train: UTF-8 whatever the locale; what cannot be written ends a program well."""

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from kwsd.errors import OutputError


class ReaderGoneError(BrokenPipeError):
    """The reader of standard output has gone, unlike one of another pipe."""


class StandardOutputError(OutputError):
    """Standard output cannot be written, unlike another file."""


class _Output(io.FileIO):
    """Standard output whose errors are StandardOutputErrors, except a reader that has gone."""

    def write(self, data: Any) -> int | None:  # type: ignore[override]
        try:
            return super().write(data)
        except BrokenPipeError as error:
            raise ReaderGoneError(*error.args) from error
        except OSError as error:
            raise StandardOutputError("standard output", error.strerror or str(error)) from error


def prepare() -> None:
    """Puts an _Output beneath Python's standard output, unless a test has replaced it.

    Lines for programs are UTF-8, and help has characters that a locale may lack. A file's name may have bytes that are
    no UTF-8: they are written as ``\\udcff``, which JSON reads as what Python reads from the name itself.
    """
    before = sys.__stdout__
    if before is None or sys.stdout is not before:
        return
    sys.stdout = io.TextIOWrapper(
        io.BufferedWriter(_Output(1, "w", closefd=False)),
        encoding="utf-8",
        errors="backslashreplace",
        line_buffering=before.line_buffering or before.write_through,
    )


@contextmanager
def flushed() -> Iterator[None]:
    """Flushes at the end of the block, also where argparse ends it after --help, while errors can still be told."""
    try:
        yield
    except SystemExit:
        _flush()
        raise
    _flush()


def _flush() -> None:
    if sys.stdout is not None:
        sys.stdout.flush()


def forget() -> None:
    """Keeps the interpreter's flush at exit from complaining about a standard output that cannot be written."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
