"""The results as one Parquet file, for millions of words."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from kwsd.errors import OutputError, UnavailableError
from kwsd.scan.results import whole

ROWS_AT_ONCE = 65536


class Table:
    """Rows of JSON objects as from `kwsd.scan.words.Word.to_dict`; the file appears when it is closed without an error.

    Raises UnavailableError, OutputError.
    """

    def __init__(self, path: Path) -> None:
        try:
            import pyarrow
            import pyarrow.parquet
        except ImportError as error:
            mend = "pip install 'kwsd[scan-parquet]'"
            raise UnavailableError("--parquet", "it needs pyarrow, which is not installed", mend) from error
        if os.path.isdir(path):  # noqa: PTH112 - told now, not once all was heard
            raise OutputError(str(path), "it is a folder")
        self._arrow = pyarrow
        text, whole_number = pyarrow.string(), pyarrow.int64()
        self._schema = pyarrow.schema(
            [
                ("file", text),
                ("label", pyarrow.dictionary(pyarrow.int32(), text)),
                ("score", pyarrow.float32()),
                ("start_ms", whole_number),
                ("end_ms", whole_number),
                ("model", pyarrow.dictionary(pyarrow.int32(), text)),
            ]
        )
        self._rows: list[Mapping[str, Any]] = []
        self._file = whole(path)
        self._part = self._file.__enter__()
        try:
            self._writer = pyarrow.parquet.ParquetWriter(self._part, self._schema)
        except OSError as error:
            raise OutputError(str(path), error.strerror or str(error)) from error

    def add(self, rows: Iterable[Mapping[str, Any]]) -> None:
        self._rows += rows
        if len(self._rows) >= ROWS_AT_ONCE:
            self._flush()

    def _flush(self) -> None:
        self._writer.write_table(self._arrow.Table.from_pylist(self._rows, self._schema))
        self._rows.clear()

    def close(self, error: BaseException | None = None) -> None:
        """Completes the file; after an error there is none. Raises OutputError."""
        try:
            if error is None:
                self._flush()
            self._writer.close()
        except OSError as fault:
            error = error or fault
        if self._file.__exit__(type(error) if error else None, error, None):
            raise AssertionError("errors are passed on")
