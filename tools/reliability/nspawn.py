"""The system unit and the Debian package under a real systemd: a Debian 12 in a container, as docs/service.md says.

    sudo make nspawn        (or: sudo python tools/reliability/nspawn.py [--only WORD])

Needs root, debootstrap and systemd-nspawn. The container's files stay in /var/cache/kwsd-nspawn for the next time, kwsd
itself is installed afresh. The microphone is the tests' virtual one, outside; a drop-in leads the unit to it. Prints a
table of what was promised and what was seen; code 1 where something was otherwise.
"""

import argparse
import contextlib
import os
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import soundfile

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.helpers.virtual_mic import VirtualMic, missing  # noqa: E402
from tools.reliability import package  # noqa: E402
from tools.reliability.container import (  # noqa: E402
    CACHE,
    CLIENT,
    CONFIG,
    DROP_INS,
    MICROPHONE,
    SOCKET,
    SYSTEM,
    Container,
    make_system,
    tell,
    wait_for,
)

STRANGER = 12345  # a user id that is nobody's

CONNECT = f"""
import socket, sys
peer = socket.socket(socket.AF_UNIX)
try:
    peer.connect("{SOCKET}")
except PermissionError:
    sys.exit(13)
print(peer.makefile().readline())
"""


# What is promised. Each returns what was measured.


def start(it: Container, mic: VirtualMic) -> str:
    """systemctl start waits for READY, which kwsd sends at the first block of audio"""
    it.write(CONFIG, "model: default\n")
    began_s = time.monotonic()
    it.run("systemctl", "start", "kwsd")
    took_s = time.monotonic() - began_s
    assert it.show("ActiveState") == "active"
    assert any("listening: " in line for line in it.journal())
    return f"active after {took_s:.1f} s"


def status(it: Container, mic: VirtualMic) -> str:
    """systemctl status shows what kwsd is doing"""
    it.wait_for("StatusText", "listening: ")
    return f"Status: {it.show('StatusText')}"


def words(it: Container, mic: VirtualMic) -> str:
    """detected words are in the journal, with the unit's default sinks"""
    took_s = it.wait_for_journal('{"type":"detection",', 5, 60)
    return f"5 words within {took_s:.0f} s of the demo"


def dynamic_user(it: Container, mic: VirtualMic) -> str:
    """kwsd runs as a dynamic user, without capabilities, in the group of the sound devices"""
    uid = int(it.show("UID"))
    lines = it.run("cat", f"/proc/{it.show('MainPID')}/status").splitlines()
    found = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
    audio = it.run("getent", "group", "audio").split(":")[2]
    assert 61184 <= uid <= 65519, uid
    assert int(found["CapEff"], 16) == 0 and found["NoNewPrivs"] == "1", found
    assert audio in found["Groups"].split(), found["Groups"]
    return f"UID {uid}, CapEff 0, group audio"


def private_socket(it: Container, mic: VirtualMic) -> str:
    """only kwsd's user and root can connect to the socket"""
    mode = it.run("stat", "-c", "%a, UID %u", SOCKET)
    assert mode == f"600, UID {it.show('UID')}", mode
    assert connect(it, STRANGER) == 13
    assert connect(it, 0) == 0
    return f"{mode}; another user is refused, root is accepted"


def reload(it: Container, mic: VirtualMic) -> str:
    """systemctl reload applies valid settings, and rejects invalid ones without a restart"""
    pid = it.show("MainPID")
    it.write(CONFIG, "only: [stop, go]\n")
    began_s = time.monotonic()
    it.run("systemctl", "reload", "kwsd")
    took_s = it.wait_for_journal("settings read again") and time.monotonic() - began_s
    it.write(CONFIG, "onyl: [stop]\n")
    it.run("systemctl", "reload", "kwsd")
    it.wait_for_journal("reload rejected")
    wait_for(lambda: it.show("ActiveState") == "active", "it is active after the reload", 10)
    assert it.show("MainPID") == pid
    return f"applied within {took_s:.1f} s, same process"


def microphone_goes(it: Container, mic: VirtualMic) -> str:
    """the watchdog does not kill kwsd when the microphone is missing for longer than its interval"""
    it.restart("model: default\n")
    pid, began_s = it.show("MainPID"), time.monotonic()
    mic.do("kill")
    told_s = it.wait_for("StatusText", "waiting", "recovering")
    while time.monotonic() < began_s + 25:
        assert it.show("ActiveState") == "active"
        time.sleep(1)
    start_microphone(mic)
    heard_s = it.wait_for("StatusText", "listening")
    assert it.show("MainPID") == pid and it.show("NRestarts") == "0"
    return f"reported after {told_s:.1f} s, missing for 25 s, heard {heard_s:.1f} s after its return, same process"


def no_microphone(it: Container, mic: VirtualMic) -> str:
    """without a microphone the start waits, beyond TimeoutStartSec, and says so; booting does not wait for it"""
    it.run("systemctl", "stop", "kwsd")
    mic.do("stop")
    began_s = time.monotonic()
    it.run("systemctl", "start", "--no-block", "kwsd")
    it.wait_for("StatusText", "waiting")
    text = it.show("StatusText")
    while time.monotonic() < began_s + 45:
        assert it.show("ActiveState") == "activating" and it.show("NRestarts") == "0"
        time.sleep(1)
    start_microphone(mic)
    took_s = it.wait_for("ActiveState", "active")
    return f'activating for 45 s ("{text[:40]}..."), active {took_s:.1f} s after the microphone appeared'


def stuck(it: Container, mic: VirtualMic) -> str:
    """if the spotter thread hangs, the watchdog kills kwsd and systemd restarts it"""
    it.breakable()
    pid, count = it.show("MainPID"), int(it.show("NRestarts"))
    it.run("touch", "/run/kwsd-hangs")
    took_s = it.wait_for_journal("Watchdog timeout")
    it.run("rm", "/run/kwsd-hangs")
    again_s = wait_for(lambda: it.show("MainPID") not in ("0", pid), "it is started again", 30)
    it.wait_for("StatusText", "listening")
    assert int(it.show("NRestarts")) == count + 1
    return f"killed {took_s:.1f} s after the hang began, restarted {again_s:.1f} s later"


def frozen(it: Container, mic: VirtualMic) -> str:
    """the same if the whole process is stopped"""
    it.whole()
    it.restart("model: default\n")
    pid, seen = it.show("MainPID"), sum("Watchdog timeout" in line for line in it.journal())
    it.run("systemctl", "kill", "--kill-who=main", "--signal=STOP", "kwsd")
    took_s = it.wait_for_journal("Watchdog timeout", seen + 1)
    wait_for(lambda: it.show("MainPID") not in ("0", pid), "it is started again", 30)
    it.wait_for("StatusText", "listening")
    return f"killed after {took_s:.1f} s, then listening"


def dead_thread(it: Container, mic: VirtualMic) -> str:
    """if a thread fails, kwsd exits with 70 and the error, and systemd restarts it"""
    it.breakable()
    it.run("touch", "/run/kwsd-fails")
    it.wait_for_journal("status=70")
    assert any("RuntimeError: the network broke" in line for line in it.journal())
    it.run("rm", "/run/kwsd-fails")
    again_s = it.wait_for("StatusText", "listening")
    it.whole()
    return f"status=70, its error in the journal, listening {again_s:.1f} s after the fault was removed"


def killed(it: Container, mic: VirtualMic) -> str:
    """after SIGKILL systemd restarts kwsd, and undelivered webhook events are still in the spool"""
    hook = "  - {type: webhook, url: 'http://127.0.0.1:9/', spool: /var/lib/kwsd/hook.db, max_age_s: 3600}\n"
    it.restart(f"sinks:\n  - type: stdout\n{hook}")
    seen = sum('{"type":"detection",' in line for line in it.journal())
    it.wait_for_journal('{"type":"detection",', seen + 3, 60)
    pid = it.show("MainPID")
    it.run("systemctl", "kill", "--kill-who=main", "--signal=KILL", "kwsd")
    wait_for(lambda: it.show("MainPID") not in ("0", pid), "it is started again", 30)
    it.wait_for_journal("spooled events to deliver")
    (line,) = [line for line in it.journal() if "spooled events to deliver" in line]
    mode = it.run("stat", "-c", "%a, UID %u", "/var/lib/kwsd/hook.db")
    assert mode == f"600, UID {it.show('UID')}", mode
    return line.split(": ", 2)[-1]


def wrong_config(it: Container, mic: VirtualMic) -> str:
    """an invalid configuration ends the service, without further attempts"""
    it.write(CONFIG, "onyl: [stop]\n")
    it.run("systemctl", "stop", "kwsd")
    count = it.show("NRestarts")
    it.run("systemctl", "start", "kwsd", check=False)
    it.wait_for("ActiveState", "failed")
    time.sleep(5)  # RestartSec is 2
    assert it.show("ActiveState") == "failed" and it.show("ExecMainStatus") == "78"
    assert it.show("NRestarts") in (count, "0")
    (line,) = [line for line in it.journal()[-6:] if f"{CONFIG}:1:" in line]
    return f"status=78, no restart: {line.removeprefix('kwsd: ')[:60]}..."


def stop(it: Container, mic: VirtualMic) -> str:
    """systemctl stop ends kwsd cleanly and removes the socket"""
    it.restart("model: default\n")
    began_s = time.monotonic()
    it.run("systemctl", "stop", "kwsd")
    took_s = time.monotonic() - began_s
    assert it.show("Result") == "success" and it.show("ExecMainStatus") == "0"
    assert it.run("ls", "/run/kwsd", check=False) == ""
    return f"{took_s:.1f} s, status=0"


def group_socket(it: Container, mic: VirtualMic) -> str:
    """with the sysusers snippet, only members of the group kwsd can connect to the socket"""
    shutil.copy(ROOT / "systemd/kwsd.sysusers.conf", SYSTEM / "etc/sysusers.d/kwsd.conf")
    it.run("systemd-sysusers")
    it.restart(f"sinks:\n  - type: socket\n    path: {SOCKET}\n    group: kwsd\n")
    gid = int(it.run("getent", "group", "kwsd").split(":")[2])
    mode = it.run("stat", "-c", "%a %U:%G", SOCKET)
    assert mode == "660 kwsd:kwsd", mode
    assert connect(it, STRANGER) == 13
    assert connect(it, STRANGER, gid) == 0
    return f"{mode}; a member is accepted, another user is refused"


PROMISES = [
    start,
    status,
    words,
    dynamic_user,
    private_socket,
    reload,
    microphone_goes,
    no_microphone,
    stuck,
    frozen,
    dead_thread,
    killed,
    wrong_config,
    stop,
    group_socket,
]


def connect(it: Container, user: int, group: int | None = None) -> int:
    """Whether this user is greeted on the socket: 0, or 13 where it is not allowed to connect."""
    groups = ["--clear-groups"] if group is None else [f"--groups={group}"]
    command = ["setpriv", f"--reuid={user}", f"--regid={user}", *groups, "python3", "-c", CONNECT]
    answer = it.run(*command, check=False)
    return 0 if '"type":"hello"' in answer else 13


def start_microphone(mic: VirtualMic) -> None:
    """Starts the sound server; the unit's user may use it."""
    mic.do("start")
    open_up()


def open_up() -> None:
    MICROPHONE.chmod(0o755)
    for path in MICROPHONE.iterdir():
        if not path.is_dir():
            path.chmod(0o666)


@contextlib.contextmanager
def microphone() -> Iterator[VirtualMic]:
    """The virtual microphone with the demo being played, and a drop-in that leads the unit to it."""
    shutil.rmtree(MICROPHONE, ignore_errors=True)
    mic = VirtualMic(MICROPHONE)
    open_up()
    CLIENT.mkdir(exist_ok=True)  # copies, for the server writes its own anew at each start
    for name in ("asound.conf", "client.conf"):
        shutil.copy(MICROPHONE / name, CLIENT / name)
    files = {"ALSA_CONFIG_PATH": CLIENT / "asound.conf", "PULSE_CLIENTCONFIG": CLIENT / "client.conf"}
    variables = "".join(f"Environment={name}={value}\n" for name, value in {**mic.env, **files}.items())
    (SYSTEM / DROP_INS[1:] / "microphone.conf").write_text(f"[Service]\n{variables}")
    demo, rate_hz = soundfile.read(ROOT / "examples/demo.flac", dtype="int16")
    soundfile.write(CACHE / "demo.wav", demo, rate_hz)
    try:
        with mic.playing(CACHE / "demo.wav"):
            yield mic
    finally:
        mic.do("stop")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="of the promises, those whose name has this in it")
    only = parser.parse_args().only
    lacking = [tool for tool in ("debootstrap", "systemd-nspawn", "nsenter") if shutil.which(tool) is None]
    if os.getuid() != 0 or lacking or missing():
        needs = "debootstrap systemd-container util-linux pulseaudio pulseaudio-utils libasound2-plugins libportaudio2"
        tell(f"needs root, and: apt-get install {needs}")
        return 69
    CACHE.mkdir(parents=True, exist_ok=True)
    make_system()
    rows, broken = [], 0
    if of_package := package.why_not():
        tell(f"the Debian package is not tried: {of_package}")
    promises = [*PROMISES, *([] if of_package else package.PROMISES)]
    with microphone() as mic:
        container = Container()
        try:
            for promise in promises:
                if only not in promise.__name__:
                    continue
                try:
                    seen, verdict = promise(container, mic), "yes"
                except AssertionError as error:
                    seen, verdict, broken = str(error) or "otherwise", "NO", broken + 1
                    tell("\n".join(container.journal()[-15:]))
                tell(f"{verdict}: {promise.__name__}: {seen}")
                rows.append(f"| {promise.__doc__} | {verdict} | {seen.splitlines()[0].replace('|', '/')} |")
        finally:
            container.end()
    print("| promise | kept | measured |\n|---|---|---|", *rows, sep="\n")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
