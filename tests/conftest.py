"""What tests of several folders share."""

import shutil
import signal
import tempfile
from pathlib import Path

import hypothesis
import pytest
from hypothesis import settings

from tests.helpers.virtual_mic import VirtualMic, missing

# How long an example takes says how busy the machine is.
hypothesis.settings.register_profile("kwsd", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("kwsd")

# A process that is started in the background, by nohup or by cron has signals ignored or blocked, and so have its
# children. A handler that does nothing ignores them here, too; children that are executed start with the default.
for _number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, lambda *_: None)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [_number])


settings.register_profile("kwsd", deadline=None)  # no test depends on a machine's speed
settings.load_profile("kwsd")


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
