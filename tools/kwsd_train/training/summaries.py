"""Numbers of a run for TensorBoard (``tensorboard --logdir DIR``), which need not be installed to write them."""

from pathlib import Path
from typing import Any

from kwsd.errors import OutputError


class Summaries:
    """Event files ``DIR/train`` and ``DIR/validation`` with the scalars ``eval/NAME``; nothing without a folder."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._writers: dict[str, Any] = {}

    def write(self, kind: str, step: int, **numbers: float) -> None:
        """Add the numbers of a step. OutputError if the folder cannot be created."""
        if self._folder is None:
            return
        import tensorflow as tf

        # tf.summary.scalar requires TensorBoard; this is what it writes
        scalar = tf.compat.v1.SummaryMetadata(plugin_data={"plugin_name": "scalars"})
        with self._writer(kind).as_default(step):
            for name, number in numbers.items():
                tf.summary.write(f"eval/{name}", tf.constant(number, tf.float32), metadata=scalar)

    def close(self) -> None:
        """Flush everything to disk."""
        for writer in self._writers.values():
            writer.close()

    def _writer(self, kind: str) -> Any:
        if kind not in self._writers:
            import tensorflow as tf

            assert self._folder is not None
            try:
                (self._folder / kind).mkdir(parents=True, exist_ok=True)
                self._writers[kind] = tf.summary.create_file_writer(str(self._folder / kind))
            except (OSError, tf.errors.OpError) as error:
                raise OutputError(
                    str(self._folder), f"cannot be written: {error}", "Name another --summaries_dir."
                ) from error
        return self._writers[kind]
