"""The subscribers in examples/, run as a reader would run them."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def run():
    """Starts a program; ends it, and what it started, at the end."""
    children = []

    def start(*command, **environment):
        child = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | environment,
            start_new_session=True,
        )
        children.append(child)
        return child

    yield start
    for child in children:
        os.killpg(child.pid, 15)
        child.communicate(timeout=60)


def test_the_python_subscriber_reacts_to_stop_and_go(serve, run, make, status, until, tmp_path):
    child = run(sys.executable, str(EXAMPLES / "on_stop_go.py"), str(tmp_path / "kwsd.sock"))
    assert child.stderr.readline().startswith("no kwsd at ")
    time.sleep(1.2)  # it tries twice more meanwhile
    server = serve()
    until(lambda: ({"stop", "go"}, {"detection", "status"}) in server.subscriptions())
    for seq, label in enumerate(["stop", "go", "größer", "go", "stop"]):
        server.publish(make(seq, label))
    server.publish(status)
    assert child.stderr.readline().startswith("kwsd is "), "that no kwsd is there is said once"
    assert [child.stdout.readline() for _ in range(2)] == ["started\n", "stopped\n"]
    server.bus.stop()
    again = serve()
    until(lambda: ({"stop", "go"}, {"detection", "status"}) in again.subscriptions())
    again.publish(make(1, "go"))
    assert child.stdout.readline() == "started\n"


def test_the_shell_subscriber_reacts_to_stop_and_go(serve, run, make, until, tmp_path):
    server = serve()
    program = tmp_path / "bin" / "kwsd"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\nexec '{sys.executable}' -m kwsd \"$@\"\n")
    program.chmod(0o755)
    path = f"{program.parent}:{os.environ['PATH']}"
    child = run("sh", str(EXAMPLES / "on_stop_go.sh"), str(server.path), PATH=path)
    until(lambda: ({"stop", "go"}, {"detection"}) in server.subscriptions())
    for seq, label in enumerate(["go", "größer", "stop"]):
        server.publish(make(seq, label))
    assert [child.stdout.readline() for _ in range(2)] == [
        "started (5f2c9a1e7b3d-0, score 0.912)\n",
        "stopped (5f2c9a1e7b3d-2, score 0.912)\n",
    ]
