"""A pool of processes on this machine.

Each process has a pipe of its own, of which nobody else holds an end: when the process is killed (out of memory, a
crashing decoder), even in the middle of a result, the pipe ends, and the others are not affected. The executor of
`concurrent.futures` holds the writing end itself and waits for the rest of such a result forever.
"""

import contextlib
import multiprocessing
import os
import queue
import signal
import threading
from collections import deque
from multiprocessing.connection import Connection, wait
from typing import Any

from kwsd.scan.pool import LOSSES_MAX, Job, Lost

JOBS_EACH = 2  # one in progress, and the next one


class LocalPool:
    """A `Pool` of this many processes. They are spawned, and end with this one, however it ends."""

    def __init__(self, processes: int) -> None:
        self._workers = [_Worker() for _ in range(processes)]

    @property
    def capacity(self) -> int:
        return JOBS_EACH * len(self._workers)

    def submit(self, job: Job) -> None:
        min(self._workers, key=lambda worker: len(worker.jobs)).submit(job)

    def next(self, timeout_s: float) -> tuple[Job, Any] | None:
        busy = [worker for worker in self._workers if worker.jobs]
        ready = wait([worker.pipe for worker in busy], timeout_s)
        for worker in busy:
            if worker.pipe in ready and (result := worker.take()) is not None:
                return result
        return None

    def close(self) -> None:
        for worker in self._workers:
            worker.kill()


class _Worker:
    """One process, and its jobs in order. It starts with the first job."""

    pipe: Connection
    _process: multiprocessing.process.BaseProcess | None = None

    def __init__(self) -> None:
        self.jobs: deque[Job] = deque()

    def submit(self, job: Job) -> None:
        if self._process is None:
            self._start()
        self.jobs.append(job)
        with contextlib.suppress(OSError):  # a process that has died: `take` finds the end of its pipe
            self.pipe.send((job.function, job.arguments))

    def take(self) -> tuple[Job, Any] | None:
        """The first job, which is done; None if the process died and its jobs start again."""
        try:
            result = self.pipe.recv()
        except (EOFError, OSError):
            return self._restart()
        return self.jobs.popleft(), result

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self.pipe.close()
            self._process = None

    def _start(self) -> None:
        spawn = multiprocessing.get_context("spawn")
        self.pipe, theirs = spawn.Pipe()
        self._process = spawn.Process(target=_work, args=(theirs,), daemon=True)
        # The process inherits the blocked signals: Ctrl-C must not end it while it starts.
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            self._process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        theirs.close()

    def _restart(self) -> tuple[Job, Any] | None:
        self.kill()
        lost = self.jobs[0]
        lost.losses += 1
        given_up = lost.losses >= LOSSES_MAX
        again = [job for job in self.jobs if not (given_up and job is lost)]
        self.jobs.clear()
        for job in again:
            self.submit(job)
        return (lost, Lost()) if given_up else None


def _work(pipe: Connection) -> None:
    """Runs in the new process: does jobs until the pipe ends, because its parent has."""
    from kwsd import log

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # its parent handles Ctrl-C
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    log.setup()
    jobs: queue.SimpleQueue[tuple[Any, Any]] = queue.SimpleQueue()
    threading.Thread(target=_receive, args=(pipe, jobs), daemon=True).start()
    while True:
        function, arguments = jobs.get()
        result = function(*arguments)
        with contextlib.suppress(BrokenPipeError):  # the parent has died: `_receive` ends the process
            pipe.send(result)


def _receive(pipe: Connection, jobs: "queue.SimpleQueue[tuple[Any, Any]]") -> None:
    """Takes jobs from the pipe at once, so that the parent never waits to send one."""
    try:
        while True:
            jobs.put(pipe.recv())
    finally:
        os._exit(1)
