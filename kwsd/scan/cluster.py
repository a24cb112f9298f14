"""A pool of the workers of a Dask scheduler, on any number of machines."""

import contextlib
import logging
import queue
import time
from typing import Any

from kwsd.errors import KwsdError, UnavailableError
from kwsd.scan.pool import LOSSES_MAX, Job, Lost

MEND = "pip install 'kwsd[scan]'"
CONNECT_S = 10
JOBS_EACH = 3  # jobs per thread, so that it need not wait for the network
LOOK_S = 1.0  # between checks for workers that came or went

log = logging.getLogger(__name__)


class ClusterPool:
    """A `Pool` of the workers of a Dask cluster, including those that join later.

    Args:
        client: a ``distributed.Client``, closed with the pool.
        cluster: closed with it too.
    """

    def __init__(self, client: Any, cluster: Any = None) -> None:
        self._client, self._cluster = client, cluster
        self._jobs: dict[str, tuple[Job, Any]] = {}
        self._done: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._threads, self._look_s, self._told = 0, 0.0, False

    @property
    def capacity(self) -> int:
        now_s = time.monotonic()
        if now_s >= self._look_s:  # it asks the scheduler
            self._look_s = now_s + LOOK_S
            self._threads = sum(self._client.nthreads().values())
            if not self._threads and not self._told:
                log.warning("the cluster has no worker yet; waiting for one")
                self._told = True
        return JOBS_EACH * max(1, self._threads)

    def submit(self, job: Job) -> None:
        future = self._client.submit(job.function, *job.arguments, pure=False)
        self._jobs[future.key] = job, future
        future.add_done_callback(self._done.put)

    def next(self, timeout_s: float) -> tuple[Job, Any] | None:
        with contextlib.suppress(queue.Empty):
            future = self._done.get(timeout=timeout_s)
            job, _ = self._jobs.pop(future.key)
            return self._result(job, future)
        if self._client.status not in ("running", "connecting"):
            raise UnavailableError("scheduler", "the connection to it was lost", "Begin again with --resume.")
        return None

    def _result(self, job: Job, future: Any) -> tuple[Job, Any] | None:
        from distributed.scheduler import KilledWorker

        error = None if future.status == "finished" else future.exception()
        if future.status == "cancelled" or isinstance(error, KilledWorker):
            job.losses += 1
            if job.losses >= LOSSES_MAX:
                return job, Lost()
            self.submit(job)
            return None
        if error is not None:
            why = f"a worker cannot do its work ({type(error).__name__}: {error})"
            raise UnavailableError("cluster", why, "It needs this kwsd[scan], and this Python, on every machine.")
        return job, future.result()

    def close(self) -> None:
        self._client.close(timeout=2)
        if self._cluster is not None:
            self._cluster.close(timeout=5)


def connect(address: str) -> ClusterPool:
    """The workers of the scheduler at ``tcp://HOST:PORT`` or ``tls://HOST:PORT``. Raises UnavailableError."""
    distributed = _distributed()
    try:
        client = distributed.Client(address, timeout=CONNECT_S, set_as_default=False)
    except (OSError, ValueError, TypeError) as error:
        why = str(error.__cause__ or error).rpartition(">: ")[2] or type(error).__name__  # "in <object at 0x..>: "
        raise UnavailableError(f"--scheduler {address}", f"no Dask scheduler answers ({why})") from error
    return ClusterPool(client)


def start(workers: int) -> ClusterPool:
    """A cluster of processes on this machine, each with one thread. Raises UnavailableError."""
    distributed = _distributed()
    try:
        cluster = distributed.LocalCluster(
            n_workers=workers, threads_per_worker=1, dashboard_address=None, host="127.0.0.1"
        )
    except (OSError, RuntimeError) as error:
        raise KwsdError("--local-cluster", str(error)) from error
    return ClusterPool(distributed.Client(cluster, set_as_default=False), cluster)


def _distributed() -> Any:
    try:
        import distributed
    except ImportError as error:
        raise UnavailableError("Dask", "a cluster needs it, and it is not installed", MEND) from error
    return distributed
