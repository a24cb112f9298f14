"""Standard output: whole lines at once, and an end that fits what went wrong."""

import errno
import json
import os
import select
import sys
import time

import pytest

from kwsd.sinks import stdout
from kwsd.sinks.bus import Bus
from kwsd.sinks.sink import Sink
from kwsd.sinks.stdout import StdoutSettings, StdoutSink
from tests.sinks.conftest import is_running


class Quiet(Sink):
    """Another sink, which makes standard output not the only one."""

    name = "quiet"

    def deliver(self, event):
        return True


class Rig:
    """A stdout sink on a bus, writing to a descriptor of the test's."""

    def __init__(self, fd, *others, format="json", only=None):
        self.broken = []
        self.sink = StdoutSink(StdoutSettings(format, only=only), lambda sink, error: self.broken.append(error), fd)
        self.bus = Bus([self.sink, *others], lambda sink, error: pytest.fail(f"{sink.name} died: {error}"))
        self.bus.start()

    def publish(self, *events):
        for event in events:
            self.bus.publish(event)
        return self.bus.drain(time.monotonic() + 20)


@pytest.fixture
def pipe():
    ends = list(os.pipe())
    yield ends
    for fd in ends:
        if fd is not None:
            os.close(fd)


def fill(fd):
    """Fills a pipe to the brim; how much that took."""
    os.set_blocking(fd, False)
    written = 0
    try:
        while True:
            written += os.write(fd, b"x" * select.PIPE_BUF)
    except BlockingIOError:
        os.set_blocking(fd, True)
    return written


def test_json_lines_as_the_events_say(pipe, make):
    rig = Rig(pipe[1])
    assert rig.publish(make(17, "größer"))
    rig.bus.stop()
    assert os.read(pipe[0], 65536).decode() == (
        '{"type":"detection","id":"5f2c9a1e7b3d-17","seq":17,"time":"2026-11-21T09:30:00.125Z","label":"größer",'
        '"score":0.912,"audio_ms":52340,"latency_ms":31.4,"model":"kwsd-default","device":"USB Audio",'
        '"listener":"default"}\n'
    )


def test_a_line_for_people(pipe, make):
    rig = Rig(pipe[1], format="text")
    assert rig.publish(make(1, "stop"))
    rig.bus.stop()
    line = os.read(pipe[0], 65536)
    assert line.startswith(b"2026-11-2") and line.endswith(b":00  stop         0.912\n")  # the hour is the clock's here


def test_status_and_scores_never_appear(pipe, make, status, scores):
    rig = Rig(pipe[1], only=("go",))
    assert rig.publish(status, scores, make(1, "stop"), make(2, "go"))
    rig.bus.stop()
    assert [json.loads(line)["seq"] for line in os.read(pipe[0], 65536).splitlines()] == [2]


def test_a_closed_pipe_is_reported_as_such_when_nothing_else_is_served(pipe, make):
    os.close(pipe[0])
    pipe[0] = None
    rig = Rig(pipe[1])
    rig.publish(make())
    rig.bus.stop()
    assert isinstance(rig.broken[0], BrokenPipeError)


def test_a_reader_that_goes_is_noticed_without_an_event(pipe, monkeypatch, until):
    monkeypatch.setattr(stdout, "HANG_UP_S", 0.01)
    rig = Rig(pipe[1])
    os.close(pipe[0])
    pipe[0] = None
    until(lambda: rig.broken)
    rig.bus.stop()
    assert isinstance(rig.broken[0], BrokenPipeError)


def test_a_full_disk_is_reported_when_nothing_else_is_served(make):
    full = os.open("/dev/full", os.O_WRONLY)
    rig = Rig(full)
    rig.publish(make())
    rig.bus.stop()
    os.close(full)
    assert rig.broken[0].errno == errno.ENOSPC
    assert rig.bus.counters["stdout"]["dropped"] == 1


def test_beside_other_sinks_an_error_is_logged_once_and_counted(make, caplog):
    full = os.open("/dev/full", os.O_WRONLY)
    rig = Rig(full, Quiet(None))
    rig.publish(make(1), make(2), make(3))
    rig.bus.stop()
    os.close(full)
    assert rig.broken == []
    assert rig.bus.counters["stdout"] == {"queued": 0, "sent": 0, "dropped": 3, "retried": 0}
    assert [record.getMessage() for record in caplog.records] == [
        "standard output cannot be written: No space left on device; tried again at the next event"
    ]


def test_it_is_tried_again_at_the_next_event(tmp_path, make):
    """A FIFO whose reader left takes lines again, whole ones, as soon as there is another reader."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    writer = os.open(fifo, os.O_WRONLY)
    rig = Rig(writer, Quiet(None))
    os.close(reader)
    rig.publish(make(1))
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    rig.publish(make(2))
    rig.bus.stop()
    assert [json.loads(line)["seq"] for line in os.read(reader, 65536).splitlines()] == [2]
    os.close(reader)
    os.close(writer)


def test_a_standard_output_closed_at_start_is_an_error_and_never_another_file(tmp_path, make, monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    rig = Rig(None)
    rig.publish(make())
    rig.bus.stop()
    assert rig.broken[0].errno == errno.EBADF


def test_a_pipe_that_nobody_reads_neither_delays_others_nor_the_end(pipe, make, until):
    fill(pipe[1])
    other = Quiet(None)
    rig = Rig(pipe[1], other)
    for seq in range(5):
        rig.bus.publish(make(seq))
    assert other.drain(time.monotonic() + 20)
    assert not rig.bus.drain(time.monotonic() + 0.05)
    rig.bus.stop()
    until(lambda: not is_running(rig.sink))
    assert rig.bus.counters["stdout"]["dropped"] == 5


def test_a_slow_reader_gets_every_line_whole(pipe, make):
    filled = fill(pipe[1])
    rig = Rig(pipe[1])
    for seq in range(50):
        rig.bus.publish(make(seq))
    data = b""
    while data.count(b"\n") < 50:
        data += os.read(pipe[0], 100)
    assert rig.bus.drain(time.monotonic() + 20)
    rig.bus.stop()
    assert [json.loads(line)["seq"] for line in data[filled:].splitlines()] == list(range(50))


def test_a_line_written_in_part_is_completed_before_the_next(pipe, make, monkeypatch):
    """As a file system does that is full, and then is not."""
    failures = [10, OSError(errno.ENOSPC, "No space left on device")]
    write = os.write

    def scarce(fd, data):
        if fd == pipe[1] and failures:
            outcome = failures.pop(0)
            if isinstance(outcome, OSError):
                raise outcome
            return write(fd, data[:outcome])
        return write(fd, data)

    monkeypatch.setattr(os, "write", scarce)
    rig = Rig(pipe[1], Quiet(None))
    rig.publish(make(1))
    rig.publish(make(2))
    rig.bus.stop()
    assert [json.loads(line)["seq"] for line in os.read(pipe[0], 65536).splitlines()] == [1, 2]


def test_a_reload_changes_the_form_of_the_lines_that_follow(pipe, make):
    rig = Rig(pipe[1])
    rig.publish(make(1))
    rig.bus.replace([StdoutSink(StdoutSettings("text"), lambda sink, error: None, pipe[1])])
    rig.publish(make(2))
    rig.bus.stop()
    lines = os.read(pipe[0], 65536).splitlines()
    assert (lines[0][:1], lines[1][:5]) == (b"{", b"2026-")
