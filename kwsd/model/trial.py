"""Load and invoke a model once, in its own process, in case the runtime crashes.

Run as a script: the model is read from standard input, the only argument is JSON: ``{"package": the runtime, "shape":
of the first input, "rate_hz": sample rate}``. Exit code 0: it runs; 1: the reason is on standard output; a signal: it
crashed.
"""

import json
import resource
import sys
from typing import Any

MEMORY_BYTES = 4 * 2**30
"""Limit of address space; a runtime and numpy need 1 to 2 GiB before loading a model, and a model of kwsd some MiB."""

CPU_S = 20


def trial(model: bytes, package: str, shape: list[int], rate_hz: int) -> None:
    """Raises what the runtime raises."""
    import importlib

    import numpy as np

    runtime: Any = importlib.import_module(f"{package}.interpreter")
    interpreter = runtime.Interpreter(model_content=model, num_threads=1)
    clip = interpreter.get_input_details()[0]
    if clip["shape"].tolist() != shape:
        interpreter.resize_tensor_input(clip["index"], shape)
    interpreter.allocate_tensors()
    for detail in interpreter.get_input_details():
        value = rate_hz if detail["dtype"] is np.int32 else 0
        interpreter.set_tensor(detail["index"], np.full(detail["shape"], value, detail["dtype"]))
    interpreter.invoke()


def main() -> int:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    wanted = json.loads(sys.argv[1])
    try:
        trial(sys.stdin.buffer.read(), **wanted)
    except (ValueError, RuntimeError, SystemError, MemoryError) as error:
        print(error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
