"""The socket over real connections: many clients, slow ones, rude ones, vanishing ones, none of which costs another."""

import grp
import json
import os
import resource
import socket
import stat
import threading
import time

import pytest

from kwsd.errors import ConfigError
from kwsd.sinks.sink import Sink
from kwsd.sinks.socket.protocol import QUEUE_MAX_LINES
from kwsd.sinks.socket.settings import SocketSettings
from kwsd.sinks.socket.sink import ACCEPTS_A_TURN, REQUESTS_A_TURN, RESERVED_DESCRIPTORS, SocketSink


def soon():
    return time.monotonic() + 20


def test_a_client_that_only_reads_gets_the_greeting_and_the_events(serve, make, status):
    server = serve()
    peer = server.connect(greeted=False)
    assert (
        peer.line()
        == (
            '{"type":"hello","protocol":1,"version":"0","run":"5f2c9a1e7b3d","model":"kwsd-default",'
            '"labels":["_silence_","_unknown_","stop","go","größer"],"state":"listening"}\n'
        ).encode()
    )
    server.publish(make(17))
    server.publish(status)
    assert peer.line() == (
        b'{"type":"detection","id":"5f2c9a1e7b3d-17","seq":17,"time":"2026-11-21T09:30:00.125Z","label":"stop",'
        b'"score":0.912,"audio_ms":52340,"latency_ms":31.4,"model":"kwsd-default","device":"USB Audio",'
        b'"listener":"default"}\n'
    )
    assert peer.line() == (
        b'{"type":"status","time":"2026-11-21T09:30:00.125Z","state":"listening","reason":"audio flows",'
        b'"since":"2026-11-21T09:29:00.000Z"}\n'
    )


def test_the_greeting_tells_the_state_of_that_moment(serve):
    server = serve()
    server.state = "waiting"
    assert server.connect(greeted=False).read()["state"] == "waiting"


def test_requests_are_answered_in_order(serve):
    server = serve()
    peer = server.connect()
    assert peer.ask({"ping": [1, "zwei"]}) == {"type": "pong", "ping": [1, "zwei"]}
    assert peer.ask({"get": "status"}) == {"type": "snapshot", **server.snapshot()}
    assert peer.ask({"subscribe": {"labels": ["nowhere"]}})["type"] == "error"


def test_each_client_has_its_own_subscription(serve, make):
    server = serve()
    goes, all_words = server.connect(), server.connect()
    goes.send(b'{"subscribe":{"labels":["go"],"types":["detection"]}}\n')
    assert goes.ask({"ping": 1})["type"] == "pong"
    for seq, label in enumerate(["stop", "go", "größer"]):
        server.publish(make(seq, label))
    assert goes.read()["label"] == "go"
    assert [all_words.read()["label"] for _ in range(3)] == ["stop", "go", "größer"]


def test_scores_are_wanted_only_while_somebody_subscribes_to_them(serve, scores, until):
    server = serve()
    reader, subscriber = server.connect(), server.connect()
    assert not server.bus.wants("scores")
    subscriber.send(b'{"subscribe":{"types":["scores"]}}\n')
    until(lambda: server.bus.wants("scores"))
    server.publish(scores)
    assert (
        subscriber.line() == b'{"type":"scores","audio_ms":52340,"scores":{"stop":0.1,"go":0.2},"level_dbfs":-42.0,'
        b'"listener":"default"}\n'
    )
    subscriber.close()
    until(lambda: not server.bus.wants("scores"))
    assert reader.ask({"ping": 1}) == {"type": "pong", "ping": 1}  # and nothing came before it


def test_the_sinks_own_filter_holds_for_detections_of_all_clients(serve, make, status):
    server = serve(only=("go",))
    peer = server.connect()
    for event in (make(1, "stop"), status, make(2, "go")):
        server.publish(event)
    assert [peer.read()["type"] for _ in range(2)] == ["status", "detection"]


def test_two_hundred_clients_of_whom_most_misbehave(serve, make, until):
    """Readers get everything although others never read, send garbage, or vanish in the middle of a line."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < 1024:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 1024), hard))
    server = serve()
    readers = [server.connect() for _ in range(50)]
    idle = [server.connect() for _ in range(50)]
    rude = [server.connect() for _ in range(50)]
    gone = [server.connect() for _ in range(50)]
    until(lambda: server.sink.clients == 200)
    for peer in rude:
        peer.send(b"\x00garbage\n" * 15)
    for peer in gone:
        peer.send(b'{"ping":')
        peer.close()
    for seq in range(100):
        server.publish(make(seq))
    for peer in readers:
        assert [peer.read()["seq"] for _ in range(100)] == list(range(100))
    for peer in rude:
        assert [peer.read()["type"] for _ in range(115)].count("detection") == 100
    until(lambda: server.sink.clients == 150)
    assert len(idle) == 50


def test_a_reader_that_is_late_is_told_what_it_missed(serve, make, until):
    """What the kernel's buffer took comes first, then the count, then the newest 256 lines."""
    server = serve()
    slow, quick = server.connect(), server.connect()
    published = 0
    while server.bus.counters["socket"]["dropped"] < 500:
        for _ in range(100):
            server.publish(make(published))
            published += 1
        assert [quick.read()["seq"] for _ in range(100)] == list(range(published - 100, published))
    until(lambda: server.sink.backlog() == QUEUE_MAX_LINES)
    before, told, after = [], [], []
    while not after or after[-1] != published - 1:
        message = slow.read()
        if message["type"] == "dropped":
            told.append(message["count"])
        else:
            (after if told else before).append(message["seq"])
    assert len(told) == 1
    assert before == list(range(len(before)))
    assert after == list(range(published - QUEUE_MAX_LINES, published))
    assert len(before) + told[0] + len(after) == published
    assert server.bus.drain(soon())
    assert server.bus.counters["socket"] == {
        "queued": 0,
        "sent": 2 * published - told[0],
        "dropped": told[0],
        "retried": 0,
    }


def test_too_many_errors_or_too_long_a_line_close_that_client_only(serve, make):
    server = serve()
    well, wrong, long = server.connect(), server.connect(), server.connect()
    wrong.send(b"?\n" * 16)
    assert [wrong.read()["type"] for _ in range(16)] == ["error"] * 16
    assert wrong.ended()
    long.send(b"x" * 4097)
    assert long.read() == {"type": "error", "message": "the line is longer than 4096 bytes; closing"}
    assert long.ended()
    server.publish(make(1))
    assert well.read()["seq"] == 1


def test_a_client_that_floods_without_reading_is_closed_or_bounded(serve, make):
    """Its pongs wait in the same 256 lines; who reads on meanwhile is served."""
    server = serve()
    flood, well = server.connect(), server.connect()
    flood.socket.setblocking(False)
    ping = json.dumps({"ping": "x" * 4000}).encode() + b"\n"
    sent = 0
    while sent < 2000:
        try:
            flood.socket.send(ping)
            sent += 1
        except BlockingIOError:
            assert well.ask({"ping": sent}) == {"type": "pong", "ping": sent}
    server.publish(make(1))
    assert well.read()["seq"] == 1


class Gate:
    """Counts who passes, and lets nobody through until it is open."""

    def __init__(self):
        self.passed = 0
        self.reached, self.opened = threading.Event(), threading.Event()

    def __call__(self):
        self.passed += 1
        self.reached.set()
        assert self.opened.wait(20)
        return {"passed": self.passed}


def test_a_crowd_of_newcomers_keeps_nobody_waiting(serve):
    """One client that connects and hangs up in a loop: somebody is at the door for ever."""
    server, greeting = serve(), Gate()
    server.snapshot = lambda: {"greeted": greeting.passed}
    well = server.connect()
    server.hello = lambda: {**greeting(), "labels": []}
    server.connect(greeted=False)
    assert greeting.reached.wait(20)
    for _ in range(500):
        with socket.socket(socket.AF_UNIX) as passer_by:
            passer_by.connect(str(server.path))
    well.send(b'{"get":"status"}\n')
    greeting.opened.set()
    assert well.read()["greeted"] <= 2 * ACCEPTS_A_TURN


def test_clients_that_flood_with_requests_take_turns_and_delay_no_event(serve):
    server, request = serve(), Gate()
    server.snapshot = request
    well, *floods = [server.connect() for _ in range(9)]
    floods[0].send(b'{"get":"status"}\n' * 900)
    assert request.reached.wait(20)
    for peer in (*floods[1:], well):
        peer.send(b'{"get":"status"}\n' * (1 if peer is well else 900))

    class Told:
        type = "status"

        def to_dict(self):
            return {"passed": request.passed}

    server.publish(Told())
    request.opened.set()
    assert well.read()["passed"] <= REQUESTS_A_TURN
    assert well.read()["passed"] <= 9 * REQUESTS_A_TURN


def test_a_client_past_the_limit_is_told_and_closed(serve, until):
    server = serve(max_clients=2)
    first, second = server.connect(), server.connect()
    third = server.connect(greeted=False)
    assert third.read() == {"type": "error", "message": "all 2 places are taken; closing"}
    assert third.ended()
    assert second.ask({"ping": 1})["type"] == "pong"
    first.close()
    until(lambda: server.sink.clients == 1)
    assert server.connect().ask({"ping": 2})["type"] == "pong"


def test_a_client_that_shut_down_its_sending_side_still_gets_answers_and_events(serve, make, until):
    server = serve()
    peer = server.connect()
    peer.send(b'{"get":"status"}\n')
    peer.socket.shutdown(socket.SHUT_WR)
    assert peer.read()["type"] == "snapshot"
    server.publish(make(5))
    assert peer.read()["seq"] == 5
    peer.close()
    until(lambda: server.sink.clients == 0)


def test_clients_that_vanish_are_forgotten_at_once(serve, until):
    server = serve()
    peers = [server.connect() for _ in range(10)]
    peers[0].socket.shutdown(socket.SHUT_WR)
    for peer in peers:
        peer.close()
    until(lambda: server.sink.clients == 0)


def test_without_file_descriptors_it_waits_and_then_takes_clients_in(serve, make, until, caplog):
    server = serve()
    well = server.connect()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    waiting = socket.socket(socket.AF_UNIX)
    # exactly the descriptors in use now are allowed, so the next accept fails
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(map(int, os.listdir("/proc/self/fd"))) + 1, hard))  # noqa: PTH208
    holes = fill_holes()
    try:
        waiting.settimeout(20)
        waiting.connect(str(server.path))
        until(lambda: any("no further client" in record.getMessage() for record in caplog.records))
        server.publish(make(1))
        assert well.read()["seq"] == 1
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for fd in holes:
            os.close(fd)
    assert waiting.recv(7) == b'{"type"'
    waiting.close()


def test_the_last_file_descriptors_are_not_for_clients(serve, until, caplog):
    """The snapshot, a webhook, the microphone need some: a client is refused before there are none."""
    server = serve()
    well = server.connect()
    _, hard = limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (5 * RESERVED_DESCRIPTORS, hard))
    try:
        for _ in range(3):  # rounds in which all come and go
            crowd = [server.connect(greeted=False) for _ in range(70)]  # two descriptors each: theirs and ours
            greetings = [peer.read() for peer in crowd]
            assert greetings[-1] == {
                "type": "error",
                "message": "no file descriptor is left for another client; closing",
            }
            assert crowd[-1].ended()
            assert well.ask({"ping": 1})["type"] == "pong"
            for spare in [os.dup(0) for _ in range(RESERVED_DESCRIPTORS // 2)]:
                os.close(spare)
            for peer in crowd:
                peer.close()
            until(lambda: server.sink.clients == 1)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert sum("open files allow" in record.getMessage() for record in caplog.records) == 1


def fill_holes():
    """Takes every descriptor that the limit leaves."""
    taken = []
    while True:
        try:
            taken.append(os.open(os.devnull, os.O_RDONLY))
        except OSError:
            return taken


def test_the_end_delivers_what_is_queued_and_closes(serve, make, until):
    server = serve()
    peers = [server.connect() for _ in range(20)]
    for seq in range(50):
        server.publish(make(seq))
    assert server.bus.drain(soon())
    server.bus.stop()
    for peer in peers:
        assert [peer.read()["seq"] for _ in range(50)] == list(range(50))
        assert peer.ended()
    assert not server.path.exists()
    assert server.bus.counters["socket"] == {"queued": 0, "sent": 1000, "dropped": 0, "retried": 0}


def test_the_end_does_not_wait_for_who_never_reads_and_counts_it(serve, make, until):
    server = serve()
    server.connect()
    published = 0
    while not server.bus.counters["socket"]["dropped"]:
        server.publish(make(published))
        published += 1
        until(lambda: not server.sink._queue)
    assert not server.bus.drain(time.monotonic() + 0.05)
    server.bus.stop()
    counters = server.bus.counters["socket"]
    assert (counters["queued"], counters["sent"] + counters["dropped"]) == (0, published)
    assert counters["dropped"] > QUEUE_MAX_LINES


def test_a_dead_sink_beside_it_costs_it_nothing(serve, make):
    class Stuck(Sink):
        name = "stuck"

        def deliver(self, event):
            self.pause(60)
            return False

    server = serve(Stuck(None))
    peer = server.connect()
    for seq in range(100):
        server.publish(make(seq))
        assert peer.read()["seq"] == seq


def test_a_reload_keeps_connections_and_takes_the_new_limit_and_filter(serve, make):
    server = serve()
    peer = server.connect()
    settings = SocketSettings(str(server.path), max_clients=1, only=("go",))
    server.bus.replace([SocketSink(settings, server.services)])
    assert server.bus.sinks == (server.sink,)
    server.publish(make(1, "stop"))
    server.publish(make(2, "go"))
    assert peer.read()["seq"] == 2
    assert "taken" in server.connect(greeted=False).read()["message"]


def test_a_reload_takes_control_from_those_who_are_connected_and_gives_it_back(serve):
    server = serve(control=False)
    peer = server.connect()
    refusal = {"type": "error", "message": "this socket takes no control (control: false)"}
    for control, answer in ((False, refusal), (True, {"type": "done", "did": "pause"}), (False, refusal)):
        server.bus.replace([SocketSink(SocketSettings(str(server.path), control=control), server.services)])
        peer.send(b'{"pause":{}}\n')
        assert peer.read() == answer


def test_a_reload_to_a_group_opens_the_file_to_it(serve):
    server = serve()
    peer = server.connect()
    settings = SocketSettings(str(server.path), group=grp.getgrgid(os.getegid()).gr_name)
    server.bus.replace([SocketSink(settings, server.services)])
    assert stat.S_IMODE(server.path.stat().st_mode) == 0o660
    assert peer.ask({"ping": 1})["type"] == "pong"


def test_a_reload_to_a_group_that_is_not_there_is_refused(serve):
    server = serve()
    settings = SocketSettings(str(server.path), group="no-such-group")
    with pytest.raises(ConfigError, match="no group 'no-such-group'"):
        server.bus.replace([SocketSink(settings, server.services)])
    assert server.connect().ask({"ping": 1})["type"] == "pong"


def test_a_reload_to_another_path_moves_the_socket(serve, tmp_path, until):
    server = serve()
    old = server.connect()
    elsewhere = SocketSettings(str(tmp_path / "other.sock"))
    server.bus.replace([SocketSink(elsewhere, server.services)])
    until(old.ended)
    until(lambda: not server.path.exists())
    server.path = tmp_path / "other.sock"
    assert server.connect().ask({"ping": 1})["type"] == "pong"


def test_a_socket_that_is_put_back_while_the_old_one_drains_goes_on(serve, make, until):
    server = serve()
    slow = server.connect()
    published = 0
    while not server.bus.counters["socket"]["dropped"]:
        server.publish(make(published))
        published += 1
    server.bus.replace([])
    settings = SocketSettings(str(server.path), max_clients=1)
    server.bus.replace([SocketSink(settings, server.services)])
    assert server.bus.serving == (server.sink,)
    assert slow.read()["type"] in ("detection", "dropped")  # still served, whatever was dropped on the way
    assert "taken" in server.connect(greeted=False).read()["message"]


def test_a_request_that_breaks_the_snapshot_ends_the_sink_with_its_error(serve, until):
    server = serve()
    server.snapshot = lambda: 1 / 0
    peer = server.connect()
    peer.send(b'{"get":"status"}\n')
    until(lambda: server.deaths)
    assert isinstance(server.deaths.pop()[1], ZeroDivisionError)
    assert not server.path.exists()
