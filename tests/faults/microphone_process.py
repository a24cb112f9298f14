"""A Microphone in a process of its own: what happens to it as JSON lines on standard output, its samples into a file.

    python microphone_process.py SAMPLES_FILE RATE_HZ [nowait]

A closed standard input ends it, the way kwsd ends.
"""

import json
import os
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from kwsd.audio.microphone.microphone import Microphone
from kwsd.audio.source import Block, Gap
from kwsd.errors import KwsdError


@dataclass(frozen=True)
class Settings:
    device: str | None = None
    channel: int = 0
    gain_db: float = 0
    stall_s: float = 2
    block_ms: int | None = 20


def tell(**what):
    """In one call of the system: two threads tell, and their lines must not mix."""
    os.write(1, json.dumps({"at": time.monotonic(), **what}).encode() + b"\n")


def main(path, rate_hz, wait):
    microphone = Microphone(Settings(), rate_hz, wait=wait)
    stop = threading.Event()

    def read():
        with Path(path).open("wb", buffering=0) as file:
            while not stop.is_set():
                item = microphone.read(0.1)
                if isinstance(item, Block):
                    file.write((item.samples * 32768).astype("<i2").tobytes())
                elif isinstance(item, Gap):
                    tell(gap=item.lost)

    reader = threading.Thread(target=read)
    reader.start()
    asked = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), asked.set()), daemon=True).start()
    last, code = None, 0
    while not asked.wait(0.1):
        try:
            microphone.step(time.monotonic())
        except KwsdError as error:
            tell(error=str(error))
            code = error.exit_code
            break
        if microphone.state != last:
            last = microphone.state
            tell(state=last.state, reason=last.reason)
    stop.set()
    reader.join()
    began_s = time.monotonic()
    microphone.close()
    tell(closed_s=time.monotonic() - began_s, **microphone.counters)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2]), "nowait" not in sys.argv))
