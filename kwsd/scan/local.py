"""A pool of processes on this machine.

Each core has an executor with one process, so that a process that is killed (out of memory, a crashing decoder) does
not affect the others: `concurrent.futures` abandons all work of an executor when one of its processes dies.
"""

import multiprocessing
import os
import signal
import threading
from collections import deque
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from kwsd.scan.pool import LOSSES_MAX, Job, Lost

JOBS_EACH = 2  # one in progress, and the next one


class LocalPool:
    """A `Pool` of this many processes. They are spawned, and end with this one, however it ends."""

    def __init__(self, processes: int) -> None:
        self._slots = [_Slot() for _ in range(processes)]

    @property
    def capacity(self) -> int:
        return JOBS_EACH * len(self._slots)

    def submit(self, job: Job) -> None:
        min(self._slots, key=lambda slot: len(slot.jobs)).submit(job)

    def next(self, timeout_s: float) -> tuple[Job, Any] | None:
        first = {slot.jobs[0][1]: slot for slot in self._slots if slot.jobs}
        done, _ = wait(first, timeout_s, FIRST_COMPLETED)
        for future in done:
            if (result := first[future].take()) is not None:
                return result
        return None

    def close(self) -> None:
        processes = multiprocessing.active_children()
        for process in processes:
            process.kill()
        for process in processes:
            process.join()
        for slot in self._slots:
            slot.close()


class _Slot:
    """One process, and its jobs in order."""

    def __init__(self) -> None:
        self.jobs: deque[tuple[Job, Future[Any]]] = deque()
        self._start()

    def _start(self) -> None:
        self._executor = ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), _begin)

    def submit(self, job: Job) -> None:
        # The first job starts the process, which inherits the blocked signals: Ctrl-C must not end it while it starts.
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            self.jobs.append((job, self._executor.submit(job.function, *job.arguments)))
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)

    def take(self) -> tuple[Job, Any] | None:
        """The first job, which is done; None if the process died and all its jobs start again."""
        job, future = self.jobs[0]
        try:
            result = future.result()
        except BrokenProcessPool:
            job.losses += 1
            return self._restart(job)
        self.jobs.popleft()
        return job, result

    def _restart(self, lost: Job) -> tuple[Job, Any] | None:
        self._executor.shutdown(cancel_futures=True)
        self._start()
        given_up = lost.losses >= LOSSES_MAX
        again = [job for job, _ in self.jobs if not (given_up and job is lost)]
        self.jobs.clear()
        for job in again:
            self.submit(job)
        return (lost, Lost()) if given_up else None

    def close(self) -> None:
        self._executor.shutdown(cancel_futures=True)  # its process is dead, so this does not wait


def _begin() -> None:
    """Runs in the new process: its parent handles Ctrl-C, and it ends without a parent."""
    from kwsd import log

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    log.setup()
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
    os._exit(1)
