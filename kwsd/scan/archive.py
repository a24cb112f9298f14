"""One run of ``kwsd scan``: recordings are found, processed, written and reported."""

import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kwsd.errors import InputError, UsageError
from kwsd.events import encode
from kwsd.scan import clips, inputs
from kwsd.scan.inputs import Recording
from kwsd.scan.parquet import Table
from kwsd.scan.pool import Pool
from kwsd.scan.report import Report
from kwsd.scan.results import Results, audacity
from kwsd.scan.scan import Outcome, Scan
from kwsd.scan.score import Scorer
from kwsd.scan.words import Word
from kwsd.scan.work import Hearing


@dataclass(frozen=True)
class Wanted:
    """The wanted outputs of a scan; None or False for those not wanted.

    Attributes:
        output: folder of results.
        resume: skip recordings that have a result there.
        labels: Audacity label tracks, beside the results or on standard output.
        cut: folder for words to cut out.
        parquet: a file.
        stdout: lines on standard output.
        strict: exit with 66 if any recording cannot be read.
        quiet: no progress, and no table.
    """

    output: Path | None = None
    resume: bool = False
    labels: bool = False
    cut: Path | None = None
    parquet: Path | None = None
    stdout: bool = True
    strict: bool = False
    quiet: bool = False


def run(named: Sequence[str], hearing: Hearing, scorer: Scorer, wanted: Wanted, pool: Callable[[], Pool]) -> int:
    """Scans; returns the exit code: 0, or 66 if nothing could be read.

    Args:
        named: files, folders, addresses.
        scorer: of the model that ``hearing`` names.
        pool: creates the pool, once it is known that there is work.

    Raises:
        KwsdError: nothing can be processed or written at all.
    """
    if not named:
        raise InputError("--files-from", "the list names no recording")
    with contextlib.ExitStack() as stack:
        faults: list[InputError] = []
        recordings = list(inputs.find(named, lambda error, counts: _tell_fault(faults, error, counts)))
        if not recordings:  # each of the named was told
            return InputError.exit_code
        archive = _Archive(recordings, hearing, scorer, wanted, stack)
        todo = archive.todo()
        if todo:
            archive.hear(todo, stack.enter_context(contextlib.closing(pool())))
        return archive.finish(len(faults))


def _tell_fault(faults: list[InputError], error: InputError, counts: bool) -> None:
    from kwsd import standard_error

    standard_error.write(f"kwsd: {error}")
    if counts:
        faults.append(error)


class _Archive:
    """All outputs of a run."""

    def __init__(
        self,
        recordings: list[Recording],
        hearing: Hearing,
        scorer: Scorer,
        wanted: Wanted,
        stack: contextlib.ExitStack,
    ) -> None:
        self._recordings, self._hearing, self._scorer, self._wanted = recordings, hearing, scorer, wanted
        self._model = scorer.model
        if wanted.labels and wanted.output is None and len(recordings) > 1:
            raise UsageError("--labels", f"one track cannot hold {len(recordings)} recordings", "Add --output DIR.")
        self._report = Report(sum(each.bytes or 0 for each in recordings), len(recordings), quiet=wanted.quiet)
        self._results: Results | None = None
        if wanted.output is not None:
            roots = [each.root for each in recordings]
            self._results = Results(
                wanted.output, roots, hearing, self._model.name, labels=wanted.labels, resume=wanted.resume
            )
            stack.callback(self._results.close)
        self._table = None if wanted.parquet is None else stack.enter_context(_closed_well(Table(wanted.parquet)))

    def todo(self) -> list[Recording]:
        """The recordings to process; known results of the others go into the table."""
        results, todo = self._results, []
        for each in self._recordings:
            if results is None or not results.is_done(each):
                todo.append(each)
                continue
            self._report.skip(each.bytes or 0)
            if self._table is not None:
                self._table.add(results.before(each))
        return todo

    def hear(self, recordings: list[Recording], pool: Pool) -> None:
        keep = self._keep if self._wanted.cut is not None else None
        scan = Scan(self._hearing, self._scorer, pool, self._report.progressed, keep)
        try:
            for outcome in scan.run(recordings):
                self._take(outcome)
        except KeyboardInterrupt:
            again = "; --resume continues from here" if self._results is not None else ""
            self._report.tell(f"stopped after {self._report.done} of {len(recordings)} recordings{again}")
            raise

    def finish(self, faults: int) -> int:
        self._report.finish(self._model.labels, faults)
        report = self._report
        nothing = report.done - report.failed + report.skipped == 0
        return InputError.exit_code if nothing or (self._wanted.strict and report.failed + faults) else 0

    def _take(self, outcome: Outcome) -> None:
        self._report.take(outcome)
        if outcome.failure is not None:
            return
        recording, words = outcome.recording, outcome.words
        if 0 < outcome.duration_ms < self._model.clip_ms:
            shorter = f"shorter than a clip ({outcome.duration_ms} of {self._model.clip_ms} ms)"
            self._report.tell(f"{recording.address}: {shorter}")
        rows = [word.to_dict(recording.address, self._model.name) for word in words]
        if self._results is not None:
            self._results.write(recording, words)
        if self._table is not None:
            self._table.add(rows)
        if self._wanted.stdout:
            as_labels = self._wanted.labels and self._results is None
            sys.stdout.write(audacity(words) if as_labels else "".join(f"{encode(row)}\n" for row in rows))
            sys.stdout.flush()

    def _keep(self, recording: Recording, word: Word, samples: NDArray[np.int16]) -> None:
        assert self._wanted.cut is not None
        clips.write(clips.path(self._wanted.cut, recording, word), samples, self._model.sample_rate_hz)


@contextlib.contextmanager
def _closed_well(table: Table) -> Iterator[Any]:
    try:
        yield table
    except BaseException as error:
        table.close(error)
        raise
    table.close()
