"""File descriptors that clients use up: kwsd answers, feeds the watchdog, and outlives an unplugged microphone."""

import contextlib
import resource
import socket
from pathlib import Path

import pytest

from kwsd.client import Connection
from tests.helpers.kwsd_process import LIMIT_S, running
from tests.helpers.service_manager import Manager
from tests.helpers.virtual_mic import VirtualMic


def answer(connection: Connection, kind: str) -> dict:
    while (message := connection.receive(LIMIT_S)) is not None:
        if message["type"] == kind:
            return message
    raise AssertionError(f"the end in place of a {kind}")


@pytest.mark.parametrize("limit", [48, 64, 256])
def test_clients_do_not_use_up_what_kwsd_needs(
    limit: int, microphone: VirtualMic, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """At the limit of a crowd's connections: the snapshot, the watchdog, an unplugged and replugged microphone."""
    path, manager = tmp_path / "kwsd.sock", Manager(tmp_path / "notify")
    request.addfinalizer(manager.close)
    environment = {**microphone.env, "NOTIFY_SOCKET": str(manager.path), "WATCHDOG_USEC": "2000000"}

    def signs() -> int:
        return manager.listen().count("WATCHDOG=1")

    with running("--socket", path, env=environment) as daemon, contextlib.ExitStack() as crowd:
        daemon.wait_for_log("listening: ")
        resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE, (limit, limit))
        client = crowd.enter_context(Connection(str(path)))
        for _ in range(limit):
            peer = crowd.enter_context(socket.socket(socket.AF_UNIX))
            peer.settimeout(LIMIT_S)
            peer.connect(str(path))
        assert b"no file descriptor is left" in peer.recv(4096)
        client.send({"get": "status"})
        assert 0 < answer(client, "snapshot")["clients"] < limit
        before = signs()
        daemon.wait_for(lambda: signs() >= before + 3, "it is alive")
        microphone.do("unload")
        daemon.wait_for_log("waiting: ")
        before = signs()
        daemon.wait_for(lambda: signs() >= before + 3, "it is alive without a microphone")
        microphone.do("load")
        while answer(client, "status")["state"] != "listening":
            pass
        assert daemon.stop()[0] == 0, daemon.log
    assert sum("open files" in line for line in daemon.log) == 1, daemon.log
