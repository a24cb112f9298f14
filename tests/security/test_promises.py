"""docs/security.md, tried on a running daemon: what it opens, what it shows, what a reload can reach."""

import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.helpers.kwsd_process import Kwsd, running
from tests.sinks.http_receiver import Receiver

SECRETS = ("s3cretuser", "s3cretpass", "s3cretpath", "s3cretquery", "s3cretfile", "s3cretenv", "czNjcmV0d2hzZWM")
NETWORKS = ("tcp", "tcp6", "udp", "udp6", "udplite", "udplite6", "raw", "raw6", "icmp", "icmp6", "packet")


@contextmanager
def daemon(*arguments: str | Path, env: dict[str, str] | None = None) -> Iterator[Kwsd]:
    """A kwsd that listens to a pipe into which nobody speaks, up and running."""
    reader, writer = os.pipe()
    try:
        with os.fdopen(reader, "rb") as silence, running("--source", "-", *arguments, stdin=silence, env=env) as kwsd:
            os.write(writer, bytes(32_000))
            kwsd.wait_for_log("listening")
            yield kwsd
    finally:
        os.close(writer)


def network_sockets(pid: int) -> list[str]:
    """The process's sockets that lead to a network, as the kernel lists them."""
    held = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        try:
            held.add(str(descriptor.readlink()))
        except FileNotFoundError:  # closed meanwhile
            continue
    found = []
    for kind in NETWORKS:
        table = Path(f"/proc/{pid}/net/{kind}")
        for line in table.read_text().splitlines()[1:] if table.exists() else ():
            found += [f"{kind} {line}" for word in line.split() if f"socket:[{word}]" in held]
    return found


def thread_names(process: Path) -> str:
    names = []
    for thread in (process / "task").iterdir():
        try:
            names.append((thread / "comm").read_text())
        except (FileNotFoundError, ProcessLookupError):  # ended meanwhile
            continue
    assert names, f"{process} has no thread"
    return "".join(names)


def test_the_kernel_s_list_shows_a_network_socket() -> None:
    """The check below can fail."""
    with socket.create_server(("127.0.0.1", 0)), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
        datagrams.bind(("127.0.0.1", 0))
        assert [line.split()[0] for line in network_sockets(os.getpid())] == ["tcp", "udp"]


def test_nothing_is_opened_on_a_network_unless_asked(tmp_path: Path) -> None:
    with daemon("--socket", tmp_path / "kwsd.sock") as kwsd:
        assert network_sockets(kwsd.process.pid) == []


def test_a_webhook_opens_no_port_either() -> None:
    """It connects when there is something to post, and listens nowhere."""
    with Receiver() as receiver, daemon("--webhook", f"http://127.0.0.1:{receiver.port}/") as kwsd:
        assert network_sockets(kwsd.process.pid) == []


CONFIG = """\
log: {{level: debug}}
sinks:
- type: stdout
- type: webhook
  url: http://s3cretuser:s3cretpass@127.0.0.1:{port}/s3cretpath?token=s3cretquery
  secret_file: {secret_file}
  max_age_s: 5
  timeout_s: 1
- type: webhook
  url: http://127.0.0.1:{port}/
  secret_env: HOOK_SECRET
"""


@pytest.mark.parametrize("answer", [200, 503])
def test_secrets_are_in_no_output_and_no_process_list(tmp_path: Path, answer: int) -> None:
    """At the most talkative log level, through deliveries, failures, a reload and a reload that is refused."""
    secret_file, config = tmp_path / "hook.secret", tmp_path / "kwsd.yaml"
    secret_file.write_text("s3cretfile\n")
    with Receiver(otherwise=answer) as receiver:
        config.write_text(CONFIG.format(port=receiver.port, secret_file=secret_file))
        demo = Path(__file__).resolve().parents[2] / "examples" / "demo.flac"
        arguments = ("--config", config, "--source", demo, "--realtime")
        with running(*arguments, env={"HOOK_SECRET": "whsec_czNjcmV0d2hzZWM="}) as kwsd:
            kwsd.wait_for(lambda: len(receiver.requests) >= 2, "both hooks have posted")
            process = Path(f"/proc/{kwsd.process.pid}")
            listed = (process / "cmdline").read_text() + (process / "comm").read_text() + thread_names(process)
            kwsd.process.send_signal(signal.SIGHUP)
            kwsd.wait_for_log("settings read again")
            secret_file.write_text("whsec_ s3cretfile !\n")
            kwsd.process.send_signal(signal.SIGHUP)
            kwsd.wait_for_log("reload refused")
            config.write_text(config.read_text().replace("timeout_s: 1", "timeout_s: s3cretquery://s3cretuser"))
            kwsd.process.send_signal(signal.SIGHUP)
            kwsd.wait_for(lambda: sum("reload refused" in line for line in kwsd.log) >= 2, "the second is refused too")
            code, _ = kwsd.stop()
        assert code == 0
        assert {request.headers.get("webhook-signature", "")[:3] for request in receiver.requests} == {"v1,"}
    shown = "\n".join([*kwsd.lines, *kwsd.log, listed])
    assert answer == 200 or f"http://127.0.0.1:{receiver.port}: answers 503" in shown
    assert [secret for secret in SECRETS if secret in shown] == []


def test_a_reload_unlinks_and_opens_nothing_of_others(tmp_path: Path) -> None:
    """A configuration that names others' files as its socket is refused; they are left alone, the old one stays."""
    config, served = tmp_path / "kwsd.yaml", tmp_path / "kwsd.sock"
    precious, link, other = tmp_path / "precious", tmp_path / "link", tmp_path / "other.sock"
    precious.write_text("precious")
    link.symlink_to(precious)

    def name(path: Path) -> None:
        config.write_text(f"sinks:\n- {{type: socket, path: {path}}}\n")

    name(served)
    with socket.socket(socket.AF_UNIX) as live, daemon("--config", config) as kwsd:
        live.bind(str(other))
        live.listen()
        before = {path: path.lstat() for path in (precious, link, other, served)}
        for count, (path, why) in enumerate(
            [(precious, "no socket"), (link, "symbolic link"), (other, "another process serves it")], start=1
        ):
            name(path)
            kwsd.process.send_signal(signal.SIGHUP)
            kwsd.wait_for(lambda: sum("reload refused" in line for line in kwsd.log) >= count, "the refusal")  # noqa: B023
            assert why in kwsd.log[-1]
        for path, status in before.items():
            now = path.lstat()
            assert (now.st_ino, now.st_mode, now.st_uid, now.st_gid) == (
                status.st_ino,
                status.st_mode,
                status.st_uid,
                status.st_gid,
            )
        assert precious.read_text() == "precious"
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(served))
            assert b'"hello"' in client.recv(4096)
        assert kwsd.stop()[0] == 0
    assert not served.exists() and other.exists() and precious.exists() and link.is_symlink()


def test_a_file_that_took_the_socket_s_place_survives_the_end(tmp_path: Path) -> None:
    served = tmp_path / "kwsd.sock"
    with daemon("--socket", served) as kwsd:
        served.unlink()
        served.write_text("precious")
        assert kwsd.stop()[0] == 0
    assert served.read_text() == "precious"
