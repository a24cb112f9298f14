"""The two TensorFlow Lite runtimes behind one small interface: ai-edge-litert first, tflite-runtime second.

Both have the same ``Interpreter``; they differ in the files on which they crash, and in their output.
"""

import base64
import contextlib
import functools
import importlib
import json
import os
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from kwsd.errors import ConfigError, ModelError, UnavailableError

BACKENDS = {"litert": "ai_edge_litert", "tflite-runtime": "tflite_runtime"}
"""The runtimes and their packages, the better one first."""

TRIAL_S = 30
TRIAL_SCRIPT = Path(__file__).with_name("trial.py")
REFUSALS = (ValueError, RuntimeError, SystemError, MemoryError)
"""The exceptions that the runtimes raise about a model."""

# A model with one tensor and no operators, to test whether a runtime works at all.
_EMPTY_MODEL = base64.b64decode(
    "GAAAAFRGTDMAAA4AFAAQAAwACAAAAAQADgAAABAAAAAcAAAAhAAAAAMAAAABAAAACAAAAAQABAAEAAAAAQAAABAAAAAMABQAEAAMAAgABAAMAAAA"
    "EAAAABAAAAAUAAAAGAAAAAAAAAABAAAAAAAAAAEAAAAAAAAAAQAAABAAAAAMAAwACAAAAAAABAAMAAAACAAAAAwAAAABAAAAeAAAAAEAAAABAAAA"
    "AAAAAA=="
)
_CHATTER = re.compile(rb"(INFO: |I\d{4} |W\d{4} |WARNING: )")
_REASONS = re.compile(rb"(ERROR: |E\d{4} )")


def choose(wanted: str | None = None) -> str:
    """The runtime to use, one of BACKENDS: ``wanted``, else ``$KWSD_BACKEND``, else the first that works.

    Raises:
        ConfigError: no runtime has that name.
        UnavailableError: it, or each of them, is not installed or does not work.
    """
    wanted = wanted or os.environ.get("KWSD_BACKEND") or None
    if wanted is not None and wanted not in BACKENDS:
        raise ConfigError(f"KWSD_BACKEND: {wanted!r} is not a runtime; allowed: {' or '.join(BACKENDS)}")
    faults = []
    for backend in (wanted,) if wanted else BACKENDS:
        problem = fault(backend)
        if problem is None:
            return backend
        faults.append(f"{backend}: {problem}")
    raise UnavailableError("no TensorFlow Lite runtime works here", "; ".join(faults), _mend(wanted))


def start(backend: str, model: bytes, shape: Sequence[int], rate_hz: int, source: str, *, risky: bool) -> Any:
    """An interpreter with its tensors allocated, one thread. The bytes must have been checked (model/tflite/graph.py).

    Args:
        shape: of the first input.
        rate_hz: for a trial, if the graph takes the sample rate as its second input.
        source: the model, for ModelError.
        risky: whether the runtime may crash on it, so that it is tried in a child process first.
    """
    if risky:
        _try_in_child(backend, model, shape, rate_hz, source)
    try:
        with quiet_stderr():
            interpreter = _interpreter_class(backend)(model_content=model, num_threads=1)
            clip = interpreter.get_input_details()[0]
            if clip["shape"].tolist() != list(shape):
                interpreter.resize_tensor_input(clip["index"], list(shape))
            interpreter.allocate_tensors()
    except REFUSALS as error:
        raise refused(source, backend, error) from error
    return interpreter


def refused(source: str, backend: str, reason: object) -> ModelError:
    return ModelError(source, f"{backend} refuses it ({' '.join(str(reason).split())[:300]})")


@contextlib.contextmanager
def quiet_stderr() -> Iterator[None]:
    """Keeps a runtime's own output (by file descriptor) from standard error; other output still gets there.

    Its error messages are dropped too if an exception has them.
    """
    try:
        stderr = os.dup(2)
    except OSError:  # there is no standard error
        yield
        return
    printed = os.memfd_create("kwsd-stderr")
    os.dup2(printed, 2)
    dropped = [_CHATTER]
    try:
        yield
    except BaseException:
        dropped.append(_REASONS)
        raise
    finally:
        os.dup2(stderr, 2)
        with os.fdopen(printed, "rb") as lines:
            lines.seek(0)
            kept = [line for line in lines if not any(pattern.match(line) for pattern in dropped)]
        if kept:
            os.write(stderr, b"".join(kept))
        os.close(stderr)


def _interpreter_class(backend: str) -> Any:
    return importlib.import_module(f"{BACKENDS[backend]}.interpreter").Interpreter


@functools.cache
def fault(backend: str) -> str | None:
    """Why a runtime does not work; None if it does. Importing it does not show whether numpy is compatible."""
    try:
        with quiet_stderr():
            _interpreter_class(backend)(model_content=_EMPTY_MODEL, num_threads=1)
    except ModuleNotFoundError as error:
        return "not installed" if str(error.name).startswith(BACKENDS[backend]) else str(error)
    except (ImportError, OSError) as error:
        return f"cannot be loaded ({error})"
    except (SystemError, RuntimeError, ValueError, AttributeError) as error:
        import numpy

        if backend == "tflite-runtime" and int(numpy.__version__.split(".")[0]) >= 2:
            return f"does not fit numpy {numpy.__version__}; it needs numpy below 2"
        return f"does not work ({error})"
    return None


def _mend(wanted: str | None) -> str:
    import platform

    if platform.machine() in ("armv7l", "armv6l"):
        return "On 32-bit Arm: pip install tflite-runtime 'numpy<2' with Python up to 3.11; newer ones have no runtime."
    return "pip install tflite-runtime 'numpy<2'" if wanted == "tflite-runtime" else "pip install ai-edge-litert"


def _try_in_child(backend: str, model: bytes, shape: Sequence[int], rate_hz: int, source: str) -> None:
    import subprocess

    wanted = json.dumps({"package": BACKENDS[backend], "shape": list(shape), "rate_hz": rate_hz})
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    try:
        done = subprocess.run(
            [sys.executable, "-P", str(TRIAL_SCRIPT), wanted],
            input=model,
            capture_output=True,
            timeout=TRIAL_S,
            check=False,
            env=environment,
        )
    except subprocess.TimeoutExpired as error:
        raise refused(source, backend, f"a trial took more than {TRIAL_S} s") from error
    if done.returncode < 0:
        raise refused(source, backend, f"it crashed, signal {-done.returncode}")
    if done.returncode:
        reason = done.stdout.decode(errors="replace") or done.stderr.decode(errors="replace")[-300:]
        raise refused(source, backend, reason)
