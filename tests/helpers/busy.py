"""A machine that has other things to do."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def all_cores_busy(for_each_core: int = 1) -> Iterator[None]:
    """Processes that do nothing but count, so many for every core."""
    count = for_each_core * (os.cpu_count() or 1)
    hogs = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for hog in hogs:
            hog.kill()
            hog.wait()
