"""The Debian package in the container: installed, upgraded, removed and purged by dpkg, under a real systemd."""

import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.helpers.virtual_mic import VirtualMic  # noqa: E402
from tools.deb import make_deb  # noqa: E402
from tools.reliability.container import CONFIG, DROP_INS, SOCKET, SYSTEM, Container, tell, wait_for  # noqa: E402

PACKAGE = "/kwsd.deb"
MARK = "# ours\n"


def why_not() -> str:
    """Why no package for the container can be made here; empty where one can."""
    inside = said("chroot", SYSTEM, "python3", "--version")
    here = said(make_deb.PYTHON, "--version")
    minor = [text.split()[1].split(".")[:2] for text in (inside, here)]
    return "" if minor[0] == minor[1] else f"the package would be for {here} of this system, the container has {inside}"


def make_package() -> None:
    """The package of `make deb`, but not compressed, which takes longest."""
    tell("the Debian package ...")
    with tempfile.TemporaryDirectory(prefix="kwsd-deb-") as folder:
        tree = Path(folder) / "tree"
        make_deb.make_environment(tree / make_deb.HOME[1:])
        make_deb.complete(tree)
        made = make_deb.build(tree, Path(folder), compression="none")
        (SYSTEM / PACKAGE[1:]).write_bytes(made.read_bytes())


# What is promised. Each returns what was measured.


def deb_installs(it: Container, mic: VirtualMic) -> str:
    """dpkg -i installs the Debian package: service enabled and listening, socket for its group, command, manual page"""
    clear(it)
    make_package()
    it.run("dpkg", "--install", PACKAGE)
    assert it.run("systemctl", "is-enabled", "kwsd") == "enabled"
    assert it.show("FragmentPath").endswith("/lib/systemd/system/kwsd.service"), it.show("FragmentPath")
    took_s = it.wait_for("StatusText", "listening", limit_s=60)
    mode = it.run("stat", "-c", "%a %U:%G", SOCKET)
    assert mode == "660 kwsd:kwsd", mode
    version = it.run("kwsd", "--version")
    assert it.run("kwsd", "status").startswith("listening")
    for path in ("man/man1/kwsd.1.gz", "bash-completion/completions/kwsd"):
        it.run("test", "-s", f"/usr/share/{path}")
    return f"{version}, listening {took_s:.1f} s after dpkg was done, socket {mode}"


def deb_upgrades(it: Container, mic: VirtualMic) -> str:
    """installed again, the package keeps changed settings and restarts the service"""
    pid = it.show("MainPID")
    it.write(CONFIG, MARK + "sinks: [{type: stdout}]\n")
    it.run("dpkg", "--install", PACKAGE)
    wait_for(lambda: it.show("MainPID") not in ("0", pid), "it is another process", 30)
    it.wait_for("StatusText", "listening", limit_s=60)
    assert it.run("cat", CONFIG).startswith(MARK.strip())
    return "another process, settings unchanged"


def deb_removes(it: Container, mic: VirtualMic) -> str:
    """dpkg -r stops and disables the service and keeps the settings"""
    it.run("dpkg", "--remove", "kwsd")
    assert it.show("LoadState") == "not-found", it.show("LoadState")
    assert it.run("pgrep", "-f", "/opt/kwsd/bin/kwsd", check=False) == ""
    for path in ("/opt/kwsd", "/usr/bin/kwsd", "/run/kwsd", "/etc/systemd/system/multi-user.target.wants/kwsd.service"):
        assert not exists(it, path), path
    assert it.run("cat", CONFIG).startswith(MARK.strip())
    return "no process, no unit, no files but the settings"


def deb_purges(it: Container, mic: VirtualMic) -> str:
    """dpkg -P removes the settings, the user and the group; nothing of the package is left"""
    it.run("dpkg", "--purge", "kwsd")
    for path in ("/etc/kwsd", "/opt/kwsd", "/var/lib/kwsd", "/var/lib/private/kwsd"):
        assert not exists(it, path), path
    for database in ("passwd", "group"):
        assert it.run("getent", database, "kwsd", check=False) == "", database
    assert it.run("dpkg-query", "--list", "kwsd", check=False).count("\nii ") == 0
    return "no settings, no user, no group"


PROMISES = [deb_installs, deb_upgrades, deb_removes, deb_purges]


def clear(it: Container) -> None:
    """Takes out what `make_system` has installed; the drop-in that leads to the microphone stays."""
    it.run("systemctl", "stop", "kwsd", check=False)
    it.run("systemctl", "reset-failed", "kwsd", check=False)
    it.run("rm", "-rf", "/opt/kwsd", "/etc/kwsd", "/var/lib/kwsd", "/var/lib/private/kwsd")
    it.run("rm", "-f", f"{DROP_INS}/breakable.conf", "/etc/systemd/system/kwsd.service", "/etc/sysusers.d/kwsd.conf")
    it.run("userdel", "kwsd", check=False)
    it.run("systemctl", "daemon-reload")


def exists(it: Container, path: str) -> bool:
    return it.run("sh", "-c", f"test -e {path} && echo yes", check=False) == "yes"


def said(*command: object) -> str:
    return subprocess.run(list(map(str, command)), check=True, capture_output=True, text=True).stdout.strip()
