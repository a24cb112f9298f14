"""`kwsd.client.watch`: what programs in Python see of a kwsd, restarts and all."""

import os
import socket
from itertools import islice

import pytest

from kwsd import client
from kwsd.client import default_paths, watch
from kwsd.errors import ConfigError, UnavailableError

HELLO = b'{"type":"hello","protocol":1,"version":"0","run":"0","model":"m","labels":["go"],"state":"listening"}\n'


def test_it_yields_detections_and_status(serve, make, status, when):
    server = serve()
    when(lambda: server.sink.clients, lambda: server.publish(make(1, "größer")), lambda: server.publish(status))
    messages = watch(server.path)
    assert list(islice(messages, 2)) == [make(1, "größer").to_dict(), status.to_dict()]
    messages.close()


def test_it_yields_the_labels_and_types_that_are_asked_for(serve, make, status, scores, when):
    server = serve()
    when(
        lambda: server.subscriptions() == [({"go"}, {"detection", "scores"})],
        *(lambda event=event: server.publish(event) for event in (make(1, "stop"), status, scores, make(2, "go"))),
    )
    messages = watch(str(server.path), labels=["go"], types=["detection", "scores"])
    assert [message["type"] for message in islice(messages, 2)] == ["scores", "detection"]
    messages.close()


def test_it_waits_for_a_kwsd_and_says_where_it_looks(serve, make, when, tmp_path):
    told, servers = [], []

    def tell(line):
        told.append(line)
        if not servers:
            servers.append(serve())

    when(lambda: servers and servers[0].sink.clients, lambda: servers[0].publish(make(1)))
    messages = watch(tmp_path / "kwsd.sock", tell=tell)
    assert next(messages)["seq"] == 1
    messages.close()
    path = tmp_path / "kwsd.sock"
    assert told == [
        f"no kwsd to watch yet; looked at {path} (No such file or directory); waiting",
        f"connected to {path}",
    ]


def test_it_connects_again_when_kwsd_restarts(serve, make, when):
    first = serve()
    told = []
    messages = watch(first.path, tell=told.append)
    when(lambda: first.sink.clients, lambda: first.publish(make(1)))
    assert next(messages)["seq"] == 1
    first.bus.stop()
    second = serve()
    when(lambda: second.sink.clients, lambda: second.publish(make(2)))
    assert next(messages)["seq"] == 2
    assert told[0] == "lost the connection: it closed the connection"
    messages.close()


def test_without_waiting_it_says_where_it_looked(tmp_path, monkeypatch):
    monkeypatch.setenv("RUNTIME_DIRECTORY", f"{tmp_path}/run")
    monkeypatch.setenv("XDG_RUNTIME_DIR", f"{tmp_path}/user")
    monkeypatch.setattr(client, "default_paths", lambda: tuple(path for path in default_paths() if "tmp" in path))
    with pytest.raises(UnavailableError) as refusal:
        next(watch(wait=False))
    assert refusal.value.exit_code == 69
    assert str(refusal.value) == (
        f"no kwsd to watch: looked at {tmp_path}/run/kwsd.sock (No such file or directory), "
        f"{tmp_path}/user/kwsd/kwsd.sock (No such file or directory). Start one, or name its socket: --socket"
    )


def test_it_looks_where_systemd_and_the_user_session_have_it(monkeypatch):
    monkeypatch.setenv("RUNTIME_DIRECTORY", "/run/my-kwsd:/run/other")
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/1000")
    assert default_paths() == ("/run/my-kwsd/kwsd.sock", "/run/kwsd/kwsd.sock", "/run/user/1000/kwsd/kwsd.sock")
    monkeypatch.setenv("RUNTIME_DIRECTORY", "/run/kwsd")
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    assert default_paths() == ("/run/kwsd/kwsd.sock",)


def test_a_word_that_the_model_does_not_know_is_refused(serve):
    with pytest.raises(ConfigError, match=r"labels: the model has no word 'went'. Its words are _silence_, .*größer"):
        next(watch(serve().path, labels=["go", "went"]))


def test_a_type_that_does_not_exist_is_refused_at_once():
    with pytest.raises(ValueError, match="types=\\['words'\\]: they are detection, status, scores"):
        watch("nowhere", types=["words"])


def test_a_kwsd_that_is_full_is_told(serve):
    server = serve(max_clients=1)
    server.connect()
    with pytest.raises(UnavailableError, match="it refuses: all 1 places are taken"):
        next(watch(server.path, wait=False))


@pytest.fixture
def impostor(tmp_path, when):
    """Something else that listens: it accepts one client, sends these bytes, and closes, or waits till the end."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "kwsd.sock"))
    listener.listen()
    accepted = []

    def act(data, close=True):
        def answer():
            accepted.append(listener.accept()[0])
            accepted[-1].sendall(data)
            if close:
                accepted[-1].close()

        when(lambda: True, answer)
        return tmp_path / "kwsd.sock"

    yield act
    for connection in accepted:
        connection.close()
    listener.close()


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"SSH-2.0-OpenSSH\n", "what answers there is not kwsd"),
        (b"[1]\n", "what answers there is not kwsd"),
        (b"[" * 100_000 + b"\n", "what answers there is not kwsd"),
        (b'{"type":"pong"}\n', "what answers there is not kwsd"),
        (b"", "it closed the connection"),
        (b'{"type":"hello","protocol":2}\n', "it speaks protocol 2, this client 1"),
        (b'{"type":"hello","protocol":1,"labels":[1]}\n', "what answers there is not kwsd"),
        (b'{"type":"hello","protocol":1}\n', "what answers there is not kwsd"),
    ],
)
def test_who_does_not_speak_the_protocol_is_refused(impostor, data, why):
    with pytest.raises(UnavailableError, match=why):
        next(watch(impostor(data), wait=False))


def test_a_line_without_end_is_not_gathered_for_ever(impostor, monkeypatch):
    monkeypatch.setattr(client, "LINE_MAX_BYTES", 100_000)
    with pytest.raises(UnavailableError, match="what answers there is not kwsd"):
        next(watch(impostor(b"x" * 200_000, close=False), wait=False))


def test_who_says_nothing_is_not_waited_for(impostor, monkeypatch):
    monkeypatch.setattr(client, "HELLO_S", 0.05)
    with pytest.raises(UnavailableError, match="it does not answer"):
        next(watch(impostor(b"", close=False), wait=False))


def test_every_message_is_handed_out_also_of_types_to_come(impostor):
    messages = watch(impostor(HELLO + b'{"type":"dropped","count":3}\n{"type":"weather"}\n', close=False))
    assert list(islice(messages, 2)) == [{"type": "dropped", "count": 3}, {"type": "weather"}]
    messages.close()


@pytest.mark.parametrize("served", [True, False])
def test_it_ends_when_nobody_reads_what_it_is_for(serve, tmp_path, served):
    if served:
        serve()
    read, write = os.pipe()
    os.close(read)
    assert list(watch(tmp_path / "kwsd.sock", output_fd=write)) == []
    os.close(write)
