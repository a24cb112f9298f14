"""The virtual microphone, for tests that listen to it."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers import virtual_mic


@pytest.fixture
def microphone() -> Iterator[virtual_mic.VirtualMic]:
    """A microphone that hears what is played into it; gone after the test."""
    if lacking := virtual_mic.missing():
        pytest.skip(f"the virtual microphone needs what `make test` installs: {lacking}")
    with tempfile.TemporaryDirectory(prefix="mic") as folder:  # short: a socket's path has 107 bytes at most
        mic = virtual_mic.VirtualMic(Path(folder))
        try:
            yield mic
        finally:
            mic.do("stop")
