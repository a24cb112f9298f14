"""What tests of several folders share."""

import shutil
import tempfile
from pathlib import Path

import pytest

from tests.helpers.virtual_mic import VirtualMic, missing


@pytest.fixture(scope="module")
def microphone():
    """A virtual microphone at 16 kHz; each test leaves it running."""
    if absent := missing():
        pytest.skip(f"the virtual microphone needs {absent}; `make test` installs it")
    folder = Path(tempfile.mkdtemp(prefix="kwsd-mic-"))  # pytest's own folders are too long for a socket's path
    virtual = VirtualMic(folder)
    yield virtual
    virtual.do("stop")
    shutil.rmtree(folder)
