"""What becomes of a command whose output cannot be written."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CLIP = str(next((ROOT / "tests/data/clips/stop").glob("*.flac")))

COMMANDS = [
    ["info", "default"],
    ["label", "default", CLIP],
    ["check-config", "examples/kwsd.yaml"],
    ["meter", "--source", CLIP],
]


def kwsd(arguments, redirection):
    words = " ".join(f"'{word}'" for word in arguments)
    command = f"'{sys.executable}' -m kwsd {words} {redirection}"
    return subprocess.run(
        command, shell=True, executable="/bin/bash", cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True
    )


@pytest.mark.parametrize("arguments", COMMANDS)
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_full_disk_is_one_line_and_74(arguments, unbuffered, monkeypatch):
    monkeypatch.setenv("PYTHONUNBUFFERED", unbuffered)
    done = kwsd(arguments, ">/dev/full")
    assert (done.returncode, done.stderr) == (74, "kwsd: standard output: No space left on device\n")


@pytest.mark.parametrize("arguments", COMMANDS)
def test_a_reader_that_leaves_is_no_error(arguments):
    done = kwsd(arguments, "| true; exit ${PIPESTATUS[0]}")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("arguments", COMMANDS)
def test_a_closed_standard_output_ends_in_no_traceback(arguments):
    assert "Traceback" not in kwsd(arguments, ">&-").stderr
