"""A rendezvous of the processes of a cluster, before TensorFlow starts.

TensorFlow waits for them too, but in native code that prints nothing, ignores signals and gives up after an hour. The
first worker listens on its own address, which TensorFlow takes over afterwards; the others identify themselves, and
keep their connections until the first one reports that all have connected.
"""

import logging
import select
import socket
import time
from collections.abc import Sequence

from kwsd.errors import UsageError

TELL_S = 5.0
"""Time between log lines about missing processes."""

_LOOK_S = 1.0
_HELLO, _GO = b"kwsd-train worker ", b"go\n"
_log = logging.getLogger("kwsd_train")


def meet(addresses: Sequence[str], place: int) -> None:
    """Return when all have connected.

    Args:
        addresses: ``HOST:PORT`` of each process; the first one is the rendezvous.
        place: the index of this process.

    Raises:
        UsageError: an address is invalid, or the port of this process is in use.
    """
    places = [_host_and_port(address) for address in addresses]
    if place == 0:
        _gather(addresses, places[0][1])
    else:
        _join(addresses[0], places[0], place)
    _log.info("All %d workers are there", len(addresses))


def _gather(addresses: Sequence[str], port: int) -> None:
    told = _Teller()
    here: dict[socket.socket, int | None] = {}
    try:
        with _server(port) as server:
            while missing := sorted(set(range(1, len(addresses))) - set(here.values())):
                told.say("Waiting for " + ", ".join(f"worker {number} ({addresses[number]})" for number in missing))
                for ready in select.select([server, *here], [], [], _LOOK_S)[0]:
                    if ready is server:
                        here[server.accept()[0]] = None
                    else:
                        _hear(here, ready)
        for connection, number in here.items():
            if number is not None:
                connection.sendall(_GO)
    except OSError as error:
        raise UsageError("TF_CONFIG", f"{addresses[0]} cannot be listened at: {error.strerror or error}") from error
    finally:
        for connection in here:
            connection.close()


def _server(port: int) -> socket.socket:
    if socket.has_dualstack_ipv6():
        return socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True)
    return socket.create_server(("", port))


def _hear(here: dict[socket.socket, int | None], connection: socket.socket) -> None:
    """Records a connection or its end. A second process of the same number replaces the first."""
    try:
        line = connection.recv(64)
    except OSError:
        line = b""
    number = line.removeprefix(_HELLO).strip()
    if line.startswith(_HELLO) and number.isdigit():
        here[connection] = int(number)
    else:
        del here[connection]
        connection.close()


def _join(address: str, place: tuple[str, int], own: int) -> None:
    told = _Teller()
    while True:
        why = "it waits for others"
        try:
            with socket.create_connection(place, _LOOK_S) as connection:
                connection.sendall(_HELLO + b"%d\n" % own)
                while not select.select([connection], [], [], _LOOK_S)[0]:
                    told.say(f"Worker 0 ({address}) waits for others")
                if connection.recv(64) == _GO:
                    return
                why = "it hung up"
        except OSError as error:
            why = error.strerror or str(error)
        told.say(f"Waiting for worker 0 ({address}): {why}")
        time.sleep(_LOOK_S)


class _Teller:
    """Logs a line, but not too often."""

    def __init__(self) -> None:
        self._due_s = 0.0

    def say(self, line: str) -> None:
        if time.monotonic() >= self._due_s:
            self._due_s = time.monotonic() + TELL_S
            _log.warning("%s", line)


def _host_and_port(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise UsageError("TF_CONFIG", f"{address!r} is not HOST:PORT")
    return host.strip("[]"), int(port)
