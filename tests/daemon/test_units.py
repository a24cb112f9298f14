"""The units: systemd has nothing to say against them, and little can be reached from inside the system unit."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from kwsd.config.read import sink_keys
from kwsd.sinks.socket.sink import RESERVED_DESCRIPTORS

UNITS = Path(__file__).parents[2] / "systemd"
BINARY = "/opt/kwsd/bin/kwsd"

needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed (apt-get install systemd)"
)


def analyze(folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        ["systemd-analyze", "--man=no", *arguments],
        env={**os.environ, "XDG_RUNTIME_DIR": str(folder), "HOME": str(folder), "LC_ALL": "C.UTF-8"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
    )


def copy_of(name: str, folder: Path) -> Path:
    """The unit with a program that is there in the place of the installed one, which verify would miss."""
    stub = folder / "kwsd"
    stub.write_text("#!/bin/sh\n")
    stub.chmod(0o755)
    text = (UNITS / name).read_text()
    assert text.count(f"ExecStart={BINARY} ") == 1
    unit = folder / name
    unit.write_text(text.replace(BINARY, str(stub)))
    return unit


def options(name: str) -> dict[str, list[str]]:
    """Every option of the unit with all its values, sections put together."""
    found: dict[str, list[str]] = {}
    for key, value in re.findall(r"^(\w+)=(.*)$", (UNITS / name).read_text(), re.MULTILINE):
        found.setdefault(key, []).append(value)
    return found


@needs_systemd
@pytest.mark.parametrize(("name", "scope"), [("kwsd.service", "--system"), ("kwsd-user.service", "--user")])
def test_systemd_finds_nothing_to_say(name, scope, tmp_path):
    """Any output counts: an unknown key is only a warning, with exit code 0."""
    result = analyze(tmp_path, scope, "verify", str(copy_of(name, tmp_path)))
    assert (result.returncode, result.stdout) == (0, "")


@needs_systemd
def test_verify_would_have_something_to_say(tmp_path):
    """The test above can fail: a misspelt key is noticed."""
    unit = copy_of("kwsd.service", tmp_path)
    unit.write_text(unit.read_text().replace("NoNewPrivileges", "NoNewPriviliges"))
    assert "NoNewPriviliges" in analyze(tmp_path, "--system", "verify", str(unit)).stdout


@needs_systemd
def test_the_system_units_exposure_is_at_most_2(tmp_path):
    unit = copy_of("kwsd.service", tmp_path)
    result = analyze(tmp_path, "security", "--offline=true", "--no-pager", "--threshold=20", str(unit))
    assert result.returncode == 0, result.stdout
    exposure = re.search(r"Overall exposure level for kwsd\.service: (\d+\.\d+)", result.stdout)
    assert float(exposure[1]) <= 2.0


@pytest.mark.parametrize("name", ["kwsd.service", "kwsd-user.service"])
def test_what_the_daemon_relies_on(name):
    unit = options(name)
    assert unit["Type"] == ["notify"]
    assert unit["TimeoutStartSec"] == ["30"]
    assert int(unit["WatchdogSec"][0]) >= 5
    assert unit["RuntimeDirectory"] == ["kwsd"]
    assert "-HUP" in unit["ExecReload"][0]
    assert "78" in unit["RestartPreventExitStatus"][0].split()
    most_clients = next(key.kind.most for key in sink_keys("socket") if key.name == "max_clients")
    assert int(unit["LimitNOFILE"][0]) >= most_clients + 2 * RESERVED_DESCRIPTORS
    assert unit["LimitCORE"] == ["0"]
    assert "ProcSubset" not in unit  # no fast scoring with it


def test_boot_and_session_do_not_wait_for_a_microphone():
    assert "multi-user.target" in options("kwsd.service")["After"][0].split()
    assert "default.target" in options("kwsd-user.service")["After"][0].split()


def test_webhooks_and_the_sockets_group_are_allowed():
    """@chown is part of @privileged, so it has to come back after that has gone."""
    for name in ("kwsd.service", "kwsd-user.service"):
        unit = options(name)
        assert {"AF_UNIX", "AF_INET", "AF_INET6"} == set(unit["RestrictAddressFamilies"][0].split())
        assert unit["SystemCallFilter"] == ["@system-service", "~@privileged @resources", "@chown"]


def test_the_sysusers_snippet_makes_the_user_the_unit_runs_as():
    lines = [line for line in (UNITS / "kwsd.sysusers.conf").read_text().splitlines() if line[:1] not in ("#", "")]
    assert [line.split()[:2] for line in lines] == [["u", "kwsd"]]
    assert "User" not in options("kwsd.service")  # DynamicUser= takes the unit's name: kwsd
