"""Standard error that nobody reads: kwsd hears on, ends when asked to, and tells later how much it could not tell."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from kwsd import standard_error
from tests.helpers.kwsd_process import DEMO, ROOT


@pytest.fixture
def full() -> Iterator[tuple[int, int]]:
    """Both ends of a pipe that is full."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with pytest.raises(BlockingIOError):
        while True:
            os.write(writer, bytes(4096))
    os.set_blocking(writer, True)
    yield reader, writer
    os.close(reader)
    os.close(writer)


def start(stderr: int, *arguments: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "kwsd", "--log-level", "debug", *arguments]
    return subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr)


def test_words_are_heard_although_nobody_reads_the_log(full: tuple[int, int]) -> None:
    with start(full[1], "--source", str(DEMO)) as kwsd:
        events = kwsd.communicate(timeout=60)[0].splitlines()
    assert (kwsd.returncode, len(events)) == (0, 13)


def test_sigterm_ends_it_although_nobody_reads_the_log(full: tuple[int, int]) -> None:
    with start(full[1], "--source", "-") as kwsd:
        assert kwsd.stdin is not None
        kwsd.stdin.write(bytes(320_000))  # more than a pipe holds, so it listens by then
        kwsd.stdin.flush()
        kwsd.terminate()
        assert kwsd.wait(60) == 0


def test_a_refusal_is_a_code_although_nobody_reads_it(full: tuple[int, int]) -> None:
    with start(full[1], "--model", "nosuch") as kwsd:
        assert kwsd.wait(60) == 78


def test_how_many_lines_found_no_room_is_told_when_there_is(
    full: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    reader, writer = full
    with os.fdopen(os.dup(writer), "w") as stream:
        monkeypatch.setattr(sys, "stderr", stream)
        for number in range(3):
            standard_error.write(f"line {number}")
        while os.read(reader, 1 << 20) == bytes(1 << 20):
            pass
        standard_error.write("x" * 10_000)
    lines = os.read(reader, 1 << 20).lstrip(b"\0").splitlines()
    assert lines[0] == b"kwsd: 3 lines found no room on standard error"
    assert lines[1] == b"x" * (standard_error.LINE_BYTES - 1)


def test_a_line_of_json_that_is_cut_is_json_still() -> None:
    texts = ["short", *(text * 10_000 for text in ("x", "\x1f", '"', "ü", "\U0001f600", "\udcff"))]
    program = f"import logging\nfrom kwsd import log\nlog.setup(form='json')\nfor text in {texts!a}:\n"
    program += "    logging.getLogger('kwsd').info(text)\n"
    done = subprocess.run([sys.executable, "-"], cwd=ROOT, input=program.encode(), capture_output=True, check=True)
    lines = done.stderr.splitlines()
    assert max(map(len, lines)) < standard_error.LINE_BYTES
    for text, line in zip(texts, lines, strict=True):
        message = json.loads(line)["message"]
        assert message and text.replace("\udcff", "?").startswith(message)
    assert len(lines[1]) == standard_error.LINE_BYTES - 1
