"""docs/security.md, tried on a running daemon: what it opens, what it shows, what a reload can reach."""

import os
import resource
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.kwsd_process import ROOT, Kwsd, running
from tests.sinks.http_receiver import Receiver

SECRETS = ("s3cretuser", "s3cretpass", "s3cretpath", "s3cretquery", "s3cretfile", "s3cretenv", "czNjcmV0d2hzZWM")
NETWORKS = ("tcp", "tcp6", "udp", "udp6", "udplite", "udplite6", "raw", "raw6", "icmp", "icmp6", "packet")


# A kwsd whose descriptors its own user may look at, and not root alone.
OPEN_TO_ITS_USER = """
import sys
from kwsd import core_dumps
core_dumps.forbid = lambda: None
from kwsd.cli.main import main
sys.exit(main())
"""


@contextmanager
def daemon(*arguments: str | Path, seen: bool = False, **how: Any) -> Iterator[Kwsd]:
    """A kwsd that listens to a pipe into which nobody speaks, up and running; ``seen``: one that can be looked into."""
    if seen:
        how["command"] = (sys.executable, "-c", OPEN_TO_ITS_USER)
    reader, writer = os.pipe()
    try:
        with os.fdopen(reader, "rb") as silence, running("--source", "-", *arguments, stdin=silence, **how) as kwsd:
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
    with daemon("--socket", tmp_path / "kwsd.sock", seen=True) as kwsd:
        assert network_sockets(kwsd.process.pid) == []


def test_a_webhook_opens_no_port_either() -> None:
    """It connects when there is something to post, and listens nowhere."""
    with Receiver() as receiver, daemon("--webhook", f"http://127.0.0.1:{receiver.port}/", seen=True) as kwsd:
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
            kwsd.wait_for_log("reload rejected")
            config.write_text(config.read_text().replace("timeout_s: 1", "timeout_s: s3cretquery://s3cretuser"))
            kwsd.process.send_signal(signal.SIGHUP)
            kwsd.wait_for(lambda: sum("reload rejected" in line for line in kwsd.log) >= 2, "the second is refused too")
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
            [(precious, "not a socket"), (link, "symbolic link"), (other, "another process serves it")], start=1
        ):
            name(path)
            kwsd.process.send_signal(signal.SIGHUP)
            kwsd.wait_for(lambda: sum("reload rejected" in line for line in kwsd.log) >= count, "the refusal")  # noqa: B023
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


def ended_by_crash(command: list[str | Path], folder: Path, *, listening: str) -> int:
    """The wait status of a program that crashes when it has said ``listening``, where all core dumps are allowed."""
    soft, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))
    try:
        process = subprocess.Popen(
            command, cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
    finally:
        resource.setrlimit(resource.RLIMIT_CORE, (soft, hard))
    with process.stdin, process.stderr:
        process.stdin.buffer.write(bytes(32_000))
        process.stdin.flush()
        assert any(listening in line for line in process.stderr)
        process.send_signal(signal.SIGSEGV)
        _, status = os.waitpid(process.pid, 0)
    process.returncode = -os.WTERMSIG(status)
    assert os.WTERMSIG(status) == signal.SIGSEGV
    return status


def test_a_crash_leaves_no_core_dump_of_what_was_heard(tmp_path: Path) -> None:
    """Whatever the shell's limit; a program that does not forbid it shows that one would be made here."""
    other = [sys.executable, "-c", "import sys; print('up', file=sys.stderr, flush=True); sys.stdin.read(); input()"]
    if not os.WCOREDUMP(ended_by_crash(other, tmp_path, listening="up")):
        pytest.skip("this machine makes no core dumps of any program (ulimit -Hc, core_pattern)")
    kwsd = [sys.executable, "-m", "kwsd", "--source", "-"]
    assert not os.WCOREDUMP(ended_by_crash(kwsd, tmp_path, listening="listening"))


def test_other_programs_of_the_same_user_cannot_read_the_memory() -> None:
    """The kernel gives a process that is not to be dumped to root."""
    with daemon() as kwsd:
        process = Path(f"/proc/{kwsd.process.pid}")
        assert (process / "mem").stat().st_uid == 0
        if os.geteuid() != 0:
            with pytest.raises(PermissionError):
                (process / "mem").open("rb")
