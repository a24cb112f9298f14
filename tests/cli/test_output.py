"""What becomes of a command whose output cannot be written."""

import json
import os
import shutil
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
    ["--help"],
    ["--version"],
    ["status", "--help"],
]


TRAIN_COMMANDS = [["--help"], ["models", "--help"], ["completion", "zsh"]]


def kwsd(arguments, redirection, program="kwsd"):
    words = " ".join(f"'{word}'" for word in arguments)
    command = f"'{sys.executable}' -m {program} {words} {redirection}"
    environment = {**os.environ, "PYTHONPATH": ":".join(sys.path)}
    return subprocess.run(
        command,
        shell=True,
        executable="/bin/bash",
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
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


@pytest.mark.parametrize("arguments", TRAIN_COMMANDS)
def test_kwsd_train_ends_the_same(arguments):
    gone = kwsd(arguments, "| true; exit ${PIPESTATUS[0]}", "kwsd_train")
    assert (gone.returncode, gone.stderr) == (0, "")
    full = kwsd(arguments, ">/dev/full", "kwsd_train")
    assert (full.returncode, full.stderr) == (74, "kwsd-train: standard output: No space left on device\n")


@pytest.mark.parametrize("program", ["kwsd", "kwsd_train"])
def test_output_is_utf_8_where_the_locale_lacks_its_characters(program, monkeypatch):
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    done = kwsd(["completion", "zsh"], "", program)
    assert (done.returncode, done.stderr) == (0, "")
    assert "’" in done.stdout


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
@pytest.mark.parametrize("name", ["b\udcff.flac", "bü.flac"])
def test_any_name_of_a_file_is_printed_and_json_reads_it_as_it_is(name, encoding, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONIOENCODING", encoding)
    file = str(shutil.copy(CLIP, tmp_path / name))
    lines = kwsd(["label", "tiny", file, file, "--json"], "").stdout.splitlines()
    assert [json.loads(line)["file"] for line in lines] == [file, file]
    told = kwsd(["label", "tiny", file, file], "").stdout.splitlines()
    assert told[0] == file.encode(errors="backslashreplace").decode()
