"""Batches made in advance by worker processes, so that training does not wait for features."""

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from typing import Any

from kwsd_train.batches.examples import Batch, Examples
from kwsd_train.batches.training_data import Data

_AHEAD = 4
"""Number of batches ready per worker."""

_examples: Examples


def batches(data: Data, settings: Mapping[str, Any], first: int, last: int, workers: int) -> Iterator[Batch]:
    """The batches of the steps ``first`` to ``last``, in order; made in this process if there are no ``workers``."""
    if workers == 0:
        examples = Examples(data, settings)
        for step in range(first, last + 1):
            yield examples.batch(step)
        return
    # spawned, not forked: TensorFlow's threads do not survive a fork. One thread each in numpy's matrix products.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    context = multiprocessing.get_context("spawn")
    waiting: deque[Future[Batch]] = deque()
    with ProcessPoolExecutor(workers, context, _start, (data, dict(settings))) as pool:
        try:
            for step in range(first, last + 1):
                while len(waiting) < workers * _AHEAD and step + len(waiting) <= last:
                    waiting.append(pool.submit(_make, step + len(waiting)))
                yield waiting.popleft().result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _start(data: Data, settings: Mapping[str, Any]) -> None:
    """Prepare a worker. It leaves signals to the parent, and ends with it, even if the parent is killed."""
    global _examples
    for number in (signal.SIGINT, signal.SIGTERM):  # since signals may be sent to all processes of a run
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _examples = Examples(data, settings)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _make(step: int) -> Batch:
    return _examples.batch(step)
