"""sd_notify over real datagram sockets, and the rule that decides when the watchdog is fed."""

import contextlib
import logging
import os
import resource
import socket
import time

import pytest

from kwsd.daemon.systemd import Notifier, Watchdog


@pytest.fixture
def notify():
    """Makes Notifiers of environments."""
    with contextlib.ExitStack() as stack:
        yield lambda environ: stack.enter_context(contextlib.closing(Notifier(environ)))


@pytest.fixture(params=["path", "abstract"])
def manager(request, tmp_path):
    """A service manager's end: a bound datagram socket and the environment that names it."""
    name = str(tmp_path / "notify") if request.param == "path" else f"\0kwsd-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.bind(name)
        channel.settimeout(20)
        yield channel, {"NOTIFY_SOCKET": name.replace("\0", "@")}


def test_every_message_is_one_datagram_of_assignments(manager, notify):
    channel, environ = manager
    notifier = notify(environ)
    notifier.ready()
    notifier.status("listening: USB Audio")
    notifier.watchdog()
    notifier.stopping()
    notifier.extend(30)
    assert [channel.recv(4096) for _ in range(5)] == [
        b"READY=1",
        b"STATUS=listening: USB Audio",
        b"WATCHDOG=1",
        b"STOPPING=1",
        b"EXTEND_TIMEOUT_USEC=30000000",
    ]


def test_a_reload_carries_the_monotonic_clock(manager, notify):
    channel, environ = manager
    before_us = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    notify(environ).reloading()
    first, second = channel.recv(4096).decode().split("\n")
    assert first == "RELOADING=1"
    assert before_us <= int(second.removeprefix("MONOTONIC_USEC=")) <= time.monotonic_ns() // 1000


def test_a_status_may_name_a_file_whose_name_is_not_utf_8(manager, notify):
    channel, environ = manager
    notify(environ).status("listening: a\udcff.flac")
    assert channel.recv(4096) == b"STATUS=listening: a?.flac"


def test_a_status_cannot_smuggle_in_another_assignment(manager, notify):
    channel, environ = manager
    notify(environ).status("no device\nREADY=1\r\n")
    assert channel.recv(4096) == b"STATUS=no device READY=1"


def test_without_a_manager_nothing_happens(notify):
    notifier = notify({})
    notifier.ready()
    assert notifier.watchdog_interval_s is None


@pytest.mark.parametrize("name", ["/nowhere/notify", "@kwsd-nobody-binds-this", "vsock:2:1234"])
def test_a_manager_that_cannot_be_reached_is_told_once(name, caplog, notify):
    notifier = notify({"NOTIFY_SOCKET": name})
    notifier.ready()
    notifier.ready()
    assert [record.levelno for record in caplog.records] == [logging.WARNING]


def test_a_manager_that_does_not_read_holds_nobody_up(manager, notify, caplog):
    """Its queue fills after some datagrams; a blocking send would then never return."""
    _, environ = manager
    notifier = notify(environ)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as filler:
        filler.setblocking(False)
        name = environ["NOTIFY_SOCKET"]
        with pytest.raises(BlockingIOError):
            while True:
                filler.sendto(b"x", name.replace("@", "\0") if name.startswith("@") else name)
    notifier.ready()
    assert [record.levelno for record in caplog.records] == [logging.WARNING]


def test_it_is_told_although_no_descriptor_is_left(manager, notify):
    """The watchdog would else kill a kwsd whose clients have used them up."""
    channel, environ = manager
    notifier = notify(environ)
    _, hard = limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (1, hard))
    try:
        notifier.watchdog()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert channel.recv(4096) == b"WATCHDOG=1"


def test_a_manager_that_began_afresh_is_found_again(tmp_path, notify):
    path = str(tmp_path / "notify")
    notifier = notify({"NOTIFY_SOCKET": path})
    for _ in range(2):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
            channel.bind(path)
            notifier.ready()
            assert channel.recv(4096) == b"READY=1"
        os.unlink(path)  # noqa: PTH108


@pytest.mark.parametrize(
    ("environ", "interval_s"),
    [
        ({"WATCHDOG_USEC": "3000000"}, 3.0),
        ({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": str(os.getpid())}, 3.0),
        ({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": str(os.getpid() + 1)}, None),
        ({"WATCHDOG_PID": str(os.getpid())}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({"WATCHDOG_USEC": "-1"}, None),
    ],
)
def test_the_interval_is_what_the_manager_said_to_this_process(environ, interval_s, notify):
    assert notify(environ).watchdog_interval_s == interval_s


def fed(state, looks=500, audio=True, scores=True, steps=True, interval_s=10.0):
    """The moments at which a watchdog looked at every 0.2 s is fed, after one feeding that all watchdogs get."""
    watchdog = Watchdog(interval_s)
    assert watchdog.due(0.0, 320, 1, "listening", 0)
    moments = []
    for look in range(1, looks):
        now = look * 0.2
        if watchdog.due(now, 320 + audio * look * 3200, 1 + scores * look * 5, state, steps * look):
            moments.append(now)
    return moments


@pytest.mark.parametrize("state", ["listening", "degraded"])
def test_it_is_fed_while_audio_and_scores_flow(state):
    moments = fed(state, steps=False)
    assert max(b - a for a, b in zip([0.0, *moments], [*moments, 100.0], strict=True)) < 10 / 2
    assert len(moments) < 100  # and not at every look


@pytest.mark.parametrize("state", ["starting", "listening", "degraded", "stopping"])
@pytest.mark.parametrize("dead", ["audio", "scores"])
def test_it_is_not_fed_when_one_of_them_stops(state, dead):
    """A thread stuck in `listening` is a reason to be killed, however busy the recovery loop is."""
    assert fed(state, **{dead: False}) == []


@pytest.mark.parametrize("state", ["waiting", "stalled", "recovering"])
def test_a_missing_microphone_is_no_reason_to_be_killed(state):
    assert fed(state, audio=False, scores=False)


@pytest.mark.parametrize("state", ["waiting", "stalled", "recovering"])
def test_a_recovery_that_makes_no_step_is(state):
    assert fed(state, audio=False, scores=False, steps=False) == []


def test_progress_counts_since_the_last_feeding_only():
    """One block of audio does not keep a stuck process alive for ever."""
    watchdog = Watchdog(10)
    assert watchdog.due(0.0, 320, 1, "listening", 0)
    assert not watchdog.due(0.2, 640, 2, "listening", 0)  # too early
    assert watchdog.due(5.0, 640, 2, "listening", 0)
    assert not watchdog.due(9.0, 640, 2, "listening", 0)
    assert not watchdog.due(9.2, 640, 2, "waiting", 0)
    assert watchdog.due(9.4, 640, 2, "waiting", 1)
