"""Several devices or machines that train one model: each takes its part of every batch (tf.distribute)."""

import json
import os
from typing import Any

from kwsd.errors import KwsdError, UsageError

NAMES = ("none", "mirrored", "multi_worker")


def is_chief(name: str) -> bool:
    """Whether this process of a run with ``--distribute name`` writes the files: of workers, only the first one."""
    if name != "multi_worker":
        return True
    task = _cluster().get("task", {})
    return task.get("type", "worker") == "chief" or ("chief" not in _workers() and task.get("index", 0) == 0)


def strategy(name: str) -> Any:
    """The tf.distribute.Strategy of ``--distribute``; ``multi_worker`` waits for all workers of ``TF_CONFIG``.

    To be called before TensorFlow has computed anything. UsageError where ``TF_CONFIG`` does not tell the workers.
    """
    import tensorflow as tf

    if name == "none":
        return tf.distribute.get_strategy()
    if name == "mirrored":
        return tf.distribute.MirroredStrategy()
    if not _workers():
        raise UsageError(
            "TF_CONFIG",
            "does not tell the workers",
            'Set it to {"cluster": {"worker": ["HOST:PORT", ..]}, "task": {"type": "worker", "index": 0}}.',
        )
    try:
        return tf.distribute.MultiWorkerMirroredStrategy()
    except (tf.errors.OpError, ValueError, RuntimeError) as error:
        raise KwsdError("TF_CONFIG", f"the workers do not come together: {str(error).splitlines()[0]}") from error


def share(strategy: Any, *arrays: Any) -> tuple[Any, ...]:
    """The rows of each array (batch, ..) that this process's replicas take, as values that differ by replica.

    Every process makes the whole batch, so that a step sees the same clips however many share it.
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
    """UsageError for a batch that the replicas cannot share evenly, since its mean would not be the parts' mean."""
    replicas = strategy.num_replicas_in_sync
    if batch_size % replicas:
        raise UsageError("--batch_size", f"{batch_size} clips cannot be shared evenly by {replicas} replicas")


def _workers() -> dict[str, Any]:
    workers: dict[str, Any] = _cluster().get("cluster", {})
    return workers


def _cluster() -> dict[str, Any]:
    try:
        told = json.loads(os.environ.get("TF_CONFIG") or "{}")
    except ValueError as error:
        raise UsageError("TF_CONFIG", f"is no JSON: {error}") from error
    if not isinstance(told, dict):
        raise UsageError("TF_CONFIG", "is no JSON object")
    return told
