"""A Debian 12 with kwsd's system unit in it, booted by systemd-nspawn."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

CACHE = Path("/var/cache/kwsd-nspawn")
SYSTEM, WHEELS = CACHE / "root", CACHE / "wheels"
MICROPHONE, CLIENT = CACHE / "mic", CACHE / "client"  # the sound server's folder, and what leads kwsd to it
PACKAGES = "systemd,systemd-sysv,dbus,python3,python3-venv,libportaudio2,libasound2-plugins"
CONFIG, SOCKET, DROP_INS = "/etc/kwsd/kwsd.yaml", "/run/kwsd/kwsd.sock", "/etc/systemd/system/kwsd.service.d"

# kwsd, but its network hangs, or fails, while a file is there.
BREAKABLE = """
import pathlib, sys, time
import kwsd.model
from kwsd.cli.main import main

quick, hang, fail = kwsd.model.Model.scores, pathlib.Path("/run/kwsd-hangs"), pathlib.Path("/run/kwsd-fails")

def scores(self, features):
    while hang.exists():
        time.sleep(0.1)
    if fail.exists():
        raise RuntimeError("the network broke")
    return quick(self, features)

kwsd.model.Model.scores = scores
sys.exit(main())
"""


def make_system() -> None:
    """Debian, and kwsd in it."""
    if not SYSTEM.exists():
        fresh = CACHE / "root.new"
        shutil.rmtree(fresh, ignore_errors=True)
        tell("debootstrap ...")
        do("debootstrap", "--variant=minbase", f"--include={PACKAGES}", "bookworm", fresh)
        fresh.rename(SYSTEM)
    tell("kwsd and what it needs, as wheels ...")
    pip: list[object] = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q"]
    for old in WHEELS.glob("kwsd-*.whl"):
        old.unlink()
    do(*pip, "wheel", "--no-deps", "-w", WHEELS, ROOT)
    (wheel,) = WHEELS.glob("kwsd-*.whl")
    do(*pip, "download", "--only-binary=:all:", "--python-version=3.11", "-d", WHEELS, wheel)
    tell("installing into the container ...")
    shutil.rmtree(SYSTEM / "opt/kwsd", ignore_errors=True)
    inside = SYSTEM / "wheels"
    shutil.rmtree(inside, ignore_errors=True)
    shutil.copytree(WHEELS, inside)
    do("chroot", SYSTEM, "python3", "-m", "venv", "/opt/kwsd")
    do(
        "chroot",
        SYSTEM,
        "/opt/kwsd/bin/pip",
        "--isolated",
        "install",
        "-q",
        "--no-index",
        "--find-links=/wheels",
        "kwsd",
    )
    for left in ("etc/kwsd", DROP_INS[1:], "var/lib/private/kwsd", "var/lib/kwsd", "etc/sysusers.d"):
        path = SYSTEM / left
        path.unlink() if path.is_symlink() else shutil.rmtree(path, ignore_errors=True)
        if left in ("etc/kwsd", DROP_INS[1:], "etc/sysusers.d"):
            path.mkdir(parents=True)
    subprocess.run(["chroot", SYSTEM, "userdel", "kwsd"], stderr=subprocess.DEVNULL)  # what an earlier run left
    shutil.copy(ROOT / "systemd/kwsd.service", SYSTEM / "etc/systemd/system/kwsd.service")
    (SYSTEM / "opt/kwsd/breakable.py").write_text(BREAKABLE)


class Container:
    """A booted system."""

    def __init__(self) -> None:
        options = f"-q -D {SYSTEM} --register=no --keep-unit -b --console=passive --bind={MICROPHONE} --bind={CLIENT}"
        self._nspawn = subprocess.Popen(
            ["systemd-nspawn", *options.split()], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        )
        self._leader = ""
        wait_for(self._booted, "the container boots", 60)

    def _booted(self) -> bool:
        assert self._nspawn.poll() is None, f"systemd-nspawn ended with {self._nspawn.returncode}"
        children = Path(f"/proc/{self._nspawn.pid}/task/{self._nspawn.pid}/children").read_text().split()
        if not children:
            return False
        self._leader = children[0]
        return self.run("systemctl", "is-system-running", check=False) in ("running", "degraded")

    def run(self, *command: str, check: bool = True) -> str:
        """Runs a command inside; its output."""
        done = subprocess.run(
            ["nsenter", "-t", self._leader, "-a", "--", *command],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert not check or done.returncode == 0, f"{' '.join(command)}: {done.stdout}{done.stderr}"
        return done.stdout.strip()

    def write(self, path: str, text: str) -> None:
        (SYSTEM / path.lstrip("/")).write_text(text)

    def show(self, key: str) -> str:
        return self.run("systemctl", "show", "--value", "-p", key, "kwsd")

    def journal(self) -> list[str]:
        return self.run("journalctl", "-u", "kwsd", "-o", "cat", "--no-pager", "-b").splitlines()

    def wait_for(self, key: str, *values: str, limit_s: float = 30) -> float:
        """Waits until a property begins with one of these; how long that took."""
        return wait_for(lambda: self.show(key).startswith(values), f"{key} is {' or '.join(values)}", limit_s)

    def wait_for_journal(self, text: str, count: int = 1, limit_s: float = 30) -> float:
        def said() -> bool:
            return sum(text in line for line in self.journal()) >= count

        return wait_for(said, f"the journal says {text!r} {count} times", limit_s)

    def restart(self, config: str) -> None:
        """kwsd with these settings, heard to listen."""
        self.write(CONFIG, config)
        self.run("systemctl", "reset-failed", "kwsd", check=False)
        self.run("systemctl", "restart", "kwsd")
        self.wait_for("StatusText", "listening")

    def breakable(self) -> None:
        """The same, with a network that can be made to hang or fail."""
        command = f"/opt/kwsd/bin/python /opt/kwsd/breakable.py --config {CONFIG}"
        self.write(f"{DROP_INS}/breakable.conf", f"[Service]\nExecStart=\nExecStart={command}\n")
        self.run("systemctl", "daemon-reload")
        self.restart("model: default\n")

    def whole(self) -> None:
        """As it is shipped again."""
        (SYSTEM / DROP_INS[1:] / "breakable.conf").unlink(missing_ok=True)
        self.run("systemctl", "daemon-reload")

    def end(self) -> None:
        self._nspawn.terminate()
        try:
            self._nspawn.wait(20)
        except subprocess.TimeoutExpired:  # nspawn killed would leave its container running
            os.kill(int(self._leader), signal.SIGKILL)
            self._nspawn.wait(20)


def wait_for(condition: Callable[[], bool], what: str, limit_s: float) -> float:
    began_s = time.monotonic()
    while not condition():
        assert time.monotonic() < began_s + limit_s, f"not within {limit_s} s: {what}"
        time.sleep(0.05)
    return time.monotonic() - began_s


def do(*command: object) -> None:
    subprocess.run([str(part) for part in command], check=True, stdout=subprocess.DEVNULL)


def tell(text: str) -> None:
    print(f"nspawn: {text}", file=sys.stderr, flush=True)
