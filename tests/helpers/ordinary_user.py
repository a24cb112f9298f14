"""kwsd as started by an ordinary user, whom the kernel keeps out of closed folders; root may enter any."""

import os
import sys
from pathlib import Path

import pytest

from tests.helpers.kwsd_process import Kwsd, run

_DROPPED = "-dac_override,-dac_read_search"
COMMAND = (
    *(() if os.geteuid() else ("setpriv", f"--bounding-set={_DROPPED}", f"--inh-caps={_DROPPED}")),
    *(sys.executable, "-m", "kwsd"),
)


def run_as_ordinary_user(*arguments: str | Path, env: dict[str, str] | None = None) -> Kwsd:
    return run(*arguments, command=COMMAND, env=env)


@pytest.fixture
def closed(tmp_path: Path) -> Path:
    """A folder that its user may not enter, like that of another user."""
    folder = tmp_path / "closed"
    folder.mkdir(0)
    return folder
