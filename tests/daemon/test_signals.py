"""What SIGHUP is taken for: by a daemon, in a terminal, before anything is ready for it."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.kwsd_process import DEMO, ROOT, running

# kwsd that gets SIGHUP as soon as its own code runs, before a command is even imported.
EARLY = """
import importlib, os, signal, sys
from kwsd.cli.main import main

whole = importlib.import_module

def hang_up(name):
    os.kill(os.getpid(), signal.SIGHUP)
    return whole(name)

importlib.import_module = hang_up
sys.exit(main(sys.argv[1:]))
"""

# Takes the terminal in its first argument for its own, and becomes kwsd.
IN_TERMINAL = """
import os, sys
os.open(sys.argv[1], os.O_RDWR)
os.execv(sys.executable, [sys.executable, "-m", "kwsd", *sys.argv[2:]])
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "kwsd.yaml"
    path.write_text("only: [stop]\n")
    return path


def early(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", EARLY, *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        start_new_session=True,
    )


def test_a_sighup_before_the_start_is_over_is_a_reload(config: Path) -> None:
    done = early("--config", config, "--source", DEMO)
    assert done.returncode == 0, done.stderr
    assert '"label":"stop"' in done.stdout


def test_without_a_configuration_it_ends_kwsd_like_sigterm() -> None:
    done = early("--source", DEMO, "--realtime")
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""


def test_other_commands_die_of_it_as_programs_do() -> None:
    """`kwsd watch` and the like must not outlive their terminal."""
    done = early("info")
    assert done.returncode == -signal.SIGHUP, done.stderr


@pytest.mark.parametrize("nohup", [False, True])
def test_a_terminal_that_is_closed_ends_kwsd_unless_it_was_started_by_nohup(config: Path, nohup: bool) -> None:
    terminal, side = os.openpty()
    name = os.ttyname(side)
    command = [*(["nohup"] if nohup else []), sys.executable, "-c", IN_TERMINAL, name]
    with running("--config", config, "--source", DEMO, "--realtime", command=command) as kwsd:
        os.close(side)
        kwsd.wait_for_log("listening")
        os.close(terminal)
        if nohup:
            before = len(kwsd.lines)
            kwsd.wait_for(lambda: len(kwsd.lines) > before, "a word is heard although the terminal is closed")
            kwsd.stop()
        assert kwsd.end() == 0
    assert not any("read again" in line for line in kwsd.log), kwsd.log


def test_sighup_is_a_reload_in_a_terminal_that_is_open(config: Path) -> None:
    """Somebody who tries a configuration out in a terminal reloads it as a service does."""
    terminal, side = os.openpty()
    command = [sys.executable, "-c", IN_TERMINAL, os.ttyname(side)]
    with running("--config", config, "--source", DEMO, "--realtime", command=command) as kwsd:
        os.close(side)
        kwsd.wait_for_log("listening")
        config.write_text("only: [go]\n")
        kwsd.process.send_signal(signal.SIGHUP)
        kwsd.wait_for_log("read again")
        os.close(terminal)
        assert kwsd.end() == 0
