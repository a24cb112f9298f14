"""``kwsd watch`` as a program: what it prints, runs, says and ends with."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys

import pytest

from kwsd.cli import watch

ONLY_DETECTIONS = (None, {"detection"})


@pytest.fixture
def run(tmp_path):
    """Starts ``kwsd watch`` on the socket of `serve`; ends it at the end."""
    children = []

    def start(*arguments, **options):
        command = [sys.executable, "-m", "kwsd", "watch", *arguments]
        if "--socket" not in arguments:
            command += ["--socket", str(tmp_path / "kwsd.sock")]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options
        children.append(subprocess.Popen(command, start_new_session=True, **pipes))
        return children[-1]

    yield start
    for child in children:
        with contextlib.suppress(ProcessLookupError):  # it and what it started have ended
            os.killpg(child.pid, signal.SIGKILL)
        child.communicate()


def ended(child, code=0):
    """Waits for its end; its output, after the exit code is the expected one."""
    out, err = child.communicate(timeout=60)
    assert child.returncode == code, err.decode()
    return out.decode(), err.decode()


def test_it_prints_the_lines_as_they_come_until_sigterm(serve, run, make, status, until):
    server = serve()
    child = run()
    until(lambda: ONLY_DETECTIONS in server.subscriptions())
    for event in (make(1, "größer"), status, make(2)):
        server.publish(event)
    lines = [child.stdout.readline() for _ in range(2)]
    assert [json.loads(line)["seq"] for line in lines] == [1, 2]
    assert lines[0].startswith(b'{"type":"detection","id":"5f2c9a1e7b3d-1","seq":1,')
    assert '"label":"größer","score":0.912,'.encode() in lines[0]
    child.send_signal(signal.SIGTERM)
    assert ended(child) == ("", "")


def test_ctrl_c_ends_it_with_0(serve, run, until):
    server = serve()
    child = run()
    until(lambda: ONLY_DETECTIONS in server.subscriptions())
    child.send_signal(signal.SIGINT)
    assert ended(child) == ("", "")


def test_words_status_and_scores_are_chosen_by_options(serve, run, make, status, scores, until):
    server = serve()
    child = run("--only", "go, größer", "--status", "--scores")
    until(lambda: server.subscriptions() == [({"go", "größer"}, {"detection", "status", "scores"})])
    for event in (make(1, "stop"), status, scores, make(2, "go")):
        server.publish(event)
    told = [json.loads(child.stdout.readline()) for _ in range(4)]
    assert [message["type"] for message in told] == ["status", "status", "scores", "detection"]
    assert told[0]["state"] == server.state, "what it is doing already is told at once"


def test_it_connects_again_when_kwsd_restarts(serve, run, make, until):
    first = serve()
    child = run()
    until(lambda: ONLY_DETECTIONS in first.subscriptions())
    first.bus.stop()
    second = serve()
    until(lambda: ONLY_DETECTIONS in second.subscriptions())
    second.publish(make(7))
    assert json.loads(child.stdout.readline())["seq"] == 7


def test_it_says_where_it_looks_and_waits(run, make, serve, tmp_path, until):
    environment = os.environ | {"RUNTIME_DIRECTORY": str(tmp_path), "XDG_RUNTIME_DIR": f"{tmp_path}/user"}
    command = [sys.executable, "-m", "kwsd", "watch"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment) as child:
        said = child.stderr.readline().decode()
        assert said.startswith("kwsd: no kwsd to watch yet; looked at ")
        for path in (f"{tmp_path}/kwsd.sock", "/run/kwsd/kwsd.sock", f"{tmp_path}/user/kwsd/kwsd.sock"):
            assert f"{path} (" in said
        server = serve()
        until(lambda: ONLY_DETECTIONS in server.subscriptions())
        server.publish(make(1))
        assert json.loads(child.stdout.readline())["seq"] == 1
        child.terminate()


def test_without_waiting_it_ends_with_69_and_one_line(run, tmp_path):
    out, err = ended(run("--no-wait"), 69)
    assert out == ""
    assert err == (
        f"kwsd: no kwsd to watch: looked at {tmp_path}/kwsd.sock (No such file or directory). "
        "Start one, or name its socket: --socket\n"
    )


def test_an_unknown_word_ends_with_78(serve, run):
    serve()
    assert "no word 'went'" in ended(run("--only", "went"), 78)[1]


@pytest.mark.parametrize(
    "arguments",
    [["--only", "go,,stop"], ["--exec", "'"], ["--exec", " "], ["--exec", "no-such-program-here x"], ["-x"]],
)
def test_wrong_use_ends_with_2(run, arguments):
    assert ended(run(*arguments), 2)[1]


@pytest.mark.parametrize("busy", [True, False])
def test_a_reader_that_goes_ends_it_silently_with_0(serve, run, make, until, busy):
    """At the next event, and while none comes."""
    server = serve()
    child = run()
    until(lambda: ONLY_DETECTIONS in server.subscriptions())
    server.publish(make(1))
    assert child.stdout.readline()
    child.stdout.close()
    if busy:
        server.publish(make(2))
    assert child.wait(60) == 0
    assert child.stderr.read() == b""


def test_a_full_disk_ends_it_with_74(serve, run, make, until):
    server = serve()
    with open("/dev/full", "wb") as full:  # noqa: PTH123
        child = run(stdout=full)
        until(lambda: ONLY_DETECTIONS in server.subscriptions())
        server.publish(make(1))
        assert child.wait(60) == 74
    assert child.stderr.read() == b"kwsd: standard output: No space left on device\n"


SCRIPT = """
import os, sys
with open(sys.argv[1], "a") as file:
    print(os.environ["KWSD_LABEL"], os.environ["KWSD_SCORE"], os.environ["KWSD_ID"], sys.argv[2:],
          sys.stdin.read(), sep="|", end="", file=file)
"""


def test_a_command_runs_once_for_each_event_without_a_shell(serve, run, make, until, tmp_path):
    server = serve()
    (tmp_path / "script.py").write_text(SCRIPT)
    child = run("--exec", f"'{sys.executable}' {tmp_path}/script.py {tmp_path}/out 'two words' $HOME;echo")
    until(lambda: ONLY_DETECTIONS in server.subscriptions())
    for seq in range(3):
        server.publish(make(seq))
    until(lambda: (tmp_path / "out").exists() and (tmp_path / "out").read_text().count("\n") == 3)
    for seq, line in enumerate((tmp_path / "out").read_text().splitlines()):
        label, score, identity, arguments, event = line.split("|")
        assert (label, score, identity) == ("stop", "0.912", f"5f2c9a1e7b3d-{seq}")
        assert arguments == "['two words', '$HOME;echo']"
        assert json.loads(event)["seq"] == seq
    child.terminate()
    out, told = ended(child)
    assert out == "" and told.splitlines() == [
        line for line in told.splitlines() if "no shell reads '$HOME;echo'" in line
    ]


def test_commands_run_one_at_a_time(serve, run, make, until, tmp_path):
    server = serve()
    lock = tmp_path / "lock"
    run("--exec", f"sh -c 'mkdir {lock} || echo clash; sleep 0.05; rmdir {lock}; echo done >> {tmp_path}/out'")
    until(lambda: ONLY_DETECTIONS in server.subscriptions())
    for seq in range(5):
        server.publish(make(seq))
    until(lambda: (tmp_path / "out").exists() and (tmp_path / "out").read_text() == "done\n" * 5)


def test_a_command_that_fails_is_told_and_the_next_event_runs_it_again(serve, run, make, until):
    server = serve()
    child = run("--exec", "sh -c 'exit 3'")
    until(lambda: ONLY_DETECTIONS in server.subscriptions())
    for seq in range(2):
        server.publish(make(seq))
        assert child.stderr.readline() == b"kwsd: sh ended with 3\n"


def test_an_event_that_no_command_can_take_is_told(serve, run, make, until):
    """A server that is no kwsd may send a NUL, which fits in no environment."""
    server = serve()
    child = run("--exec", "true")
    until(lambda: ONLY_DETECTIONS in server.subscriptions())
    server.publish(make(1, "a\0b"))
    assert child.stderr.readline() == b"kwsd: true cannot be run: embedded null byte\n"


def test_the_end_ends_a_command_that_runs(serve, run, make, until, tmp_path):
    server = serve()
    child = run("--exec", f"sh -c 'echo $$ > {tmp_path}/pid; exec sleep 1000'")
    until(lambda: ONLY_DETECTIONS in server.subscriptions())
    server.publish(make(1))
    until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text())
    child.terminate()
    ended(child)
    pid = int((tmp_path / "pid").read_text())
    until(lambda: not running(pid))


def test_a_signal_while_a_command_is_started_ends_that_command(monkeypatch):
    """The signal comes when the child runs already and nobody else knows of it yet."""
    popen, children = subprocess.Popen, []

    def interrupted(*arguments, **options):
        children.append(popen(*arguments, **options))
        signal.raise_signal(signal.SIGTERM)
        return children[0]

    def interrupt(number, frame):
        raise KeyboardInterrupt

    monkeypatch.setattr(subprocess, "Popen", interrupted)
    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        with pytest.raises(KeyboardInterrupt):
            watch._execute(["sleep", "1000"], {"type": "detection", "label": "go"}, b"{}\n")
        assert signal.getsignal(signal.SIGTERM) is interrupt
    finally:
        signal.signal(signal.SIGTERM, before)
        children[0].stdin.close()
    assert children[0].wait(60) == -signal.SIGTERM


def running(pid):
    """Whether the process exists and is not merely waiting to be collected."""
    try:
        with open(f"/proc/{pid}/stat") as stat:  # noqa: PTH123
            return not re.search(r"\) Z ", stat.read())
    except FileNotFoundError:
        return False


def test_lines_that_a_slow_reader_lost_are_told(serve, run, make, until, tmp_path):
    server = serve()
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    child = run("--exec", f"sh -c 'read line < {gate}'")
    until(lambda: ONLY_DETECTIONS in server.subscriptions())
    published = 0
    while not server.bus.counters["socket"]["dropped"]:
        server.publish(make(published))
        published += 1
        until(lambda: not server.sink._queue)
    keeper = os.open(gate, os.O_RDWR)
    os.write(keeper, b"\n" * published)
    assert re.fullmatch(rb"kwsd: \d+ lines were lost: this reader is too slow\n", child.stderr.readline())
    os.close(keeper)
