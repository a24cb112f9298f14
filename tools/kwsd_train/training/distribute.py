"""Training one model on several devices or machines: each takes its part of every batch (tf.distribute)."""

import json
import os
import signal
from collections.abc import Callable
from typing import Any

from kwsd.errors import KwsdError, UsageError
from kwsd_train.training import meeting
from kwsd_train.training.interruption import EndRequests

_JOIN_S = 120
"""TensorFlow needs a second for it once all workers have connected."""

NAMES = ("none", "mirrored", "multi_worker")


class WorkerGoneError(KwsdError):
    """Another process of the run has ended or hangs."""

    def __init__(self) -> None:
        super().__init__(
            "--distribute", "another worker has gone", "Start all of them again with --start_checkpoint latest."
        )


def is_chief(name: str) -> bool:
    """Whether this process of a run with ``--distribute name`` writes the files: only the first worker does."""
    if name != "multi_worker":
        return True
    task = _cluster().get("task", {})
    return task.get("type", "worker") == "chief" or ("chief" not in _workers() and task.get("index", 0) == 0)


def strategy(name: str, requests: EndRequests) -> Any:
    """The tf.distribute.Strategy of ``--distribute``; ``multi_worker`` waits for all workers of ``TF_CONFIG``.

    Call it before TensorFlow has computed anything. UsageError if ``TF_CONFIG`` does not name the workers.
    """
    if name == "multi_worker":
        check_cluster()
    import tensorflow as tf

    if name == "none":
        return tf.distribute.get_strategy()
    if name == "mirrored":
        return tf.distribute.MirroredStrategy()
    meeting.meet(*check_cluster())
    signal.alarm(_JOIN_S)  # ends the process if TensorFlow waits in vain, in native code that ignores everything else
    try:
        return tf.distribute.MultiWorkerMirroredStrategy()
    except (tf.errors.OpError, ValueError, RuntimeError) as error:
        raise KwsdError("TF_CONFIG", f"the workers do not come together: {str(error).splitlines()[0]}") from error
    finally:
        signal.alarm(0)
        requests.take_back()  # TensorFlow has replaced the handler of SIGTERM


def check_cluster() -> tuple[list[str], int]:
    """Addresses of the workers of ``TF_CONFIG``, and the index of this process. Raises UsageError."""
    workers, task = _workers(), _cluster().get("task", {})
    names = [(kind, number) for kind in ("chief", "worker") for number in range(len(workers.get(kind, ())))]
    own = (task.get("type", "worker"), task.get("index", 0)) if isinstance(task, dict) else None
    if own not in names:
        raise UsageError(
            "TF_CONFIG",
            "names no workers" if not names else "its task is not one of the workers",
            'Set it to {"cluster": {"worker": ["HOST:PORT", ..]}, "task": {"type": "worker", "index": 0}}.',
        )
    return [str(workers[kind][number]) for kind, number in names], names.index(own)


def agreement(strategy: Any) -> Callable[[bool], bool]:
    """Returns whether any of the workers wants something; all are asked in the same step."""
    import tensorflow as tf

    @tf.function  # type: ignore[untyped-decorator]
    def count(wished: Any) -> Any:
        return strategy.reduce(tf.distribute.ReduceOp.SUM, strategy.run(tf.identity, (wished,)), None)

    def agreed(wished: bool) -> bool:
        try:
            return float(count(tf.constant(float(wished)))) > 0
        except (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.CancelledError) as error:
            raise WorkerGoneError from error

    return agreed


def share(strategy: Any, *arrays: Any) -> tuple[Any, ...]:
    """The rows of each array (batch, ..) for this process's replicas, as per-replica values.

    Every process makes the whole batch, so that a step sees the same clips regardless of their number.
    """
    import tensorflow as tf

    if strategy.num_replicas_in_sync == 1:
        return tuple(tf.constant(array) for array in arrays)

    def part(array: Any) -> Any:
        def of_replica(context: Any) -> Any:
            rows = len(array) // context.num_replicas_in_sync
            return tf.constant(array[context.replica_id_in_sync_group * rows :][:rows])

        return strategy.experimental_distribute_values_from_function(of_replica)

    return tuple(part(array) for array in arrays)


def check_batch(strategy: Any, batch_size: int) -> None:
    """UsageError for a batch that cannot be split evenly, since its mean would not be that of the parts' means."""
    replicas = strategy.num_replicas_in_sync
    if batch_size % replicas:
        raise UsageError("--batch_size", f"{batch_size} clips cannot be shared evenly by {replicas} replicas")


def _workers() -> dict[str, Any]:
    cluster = _cluster().get("cluster")
    workers = cluster if isinstance(cluster, dict) else {}
    return {kind: addresses for kind, addresses in workers.items() if isinstance(addresses, list)}


def _cluster() -> dict[str, Any]:
    try:
        told = json.loads(os.environ.get("TF_CONFIG") or "{}")
    except ValueError as error:
        raise UsageError("TF_CONFIG", f"is not JSON: {error}") from error
    if not isinstance(told, dict):
        raise UsageError("TF_CONFIG", "is not a JSON object")
    return told
