"""What `install-service` writes and runs, and `uninstall-service` undoes, as steps that can be shown first."""

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from kwsd.errors import OutputError, UnavailableError, UsageError

_PACKAGE = Path(__file__).parents[1]
UNITS = (_PACKAGE / "data" / "systemd", _PACKAGE.parent / "systemd")
EXAMPLES = (_PACKAGE / "data" / "kwsd.yaml", _PACKAGE.parent / "examples" / "kwsd.yaml")
"""In a wheel they are in the package, in a source tree beside it."""

PROGRAM = "/opt/kwsd/bin/kwsd"
"""The command as the units name it."""

HIDDEN = ("/home", "/root", "/run/user", "/tmp", "/var/tmp")
"""Folders that the system unit does not see (ProtectHome, PrivateTmp)."""

SOCKET = """

########################################################## AS A SERVICE

# Members of the group kwsd may listen to the socket: sudo usermod -aG kwsd NAME, and NAME logs in again.
sinks:
  - type: socket
    path: /run/kwsd/kwsd.sock
    group: kwsd
"""


@dataclass(frozen=True)
class Step:
    """One step.

    Attributes:
        text: its description.
        carry_out: does it. Raises OSError, KwsdError.
    """

    text: str
    carry_out: Callable[[], object]


@dataclass(frozen=True)
class Places:
    """Where everything goes, for the system or for one user.

    Attributes:
        unit, config: files of the user or the system.
        sysusers: the file that creates the group; None if there is none to create.
        state: the folders that systemd creates for kwsd.
        shells: for each shell, where its completion script belongs.
        manual: the manual page.
        systemctl: the command.
    """

    unit: Path
    config: Path
    sysusers: Path | None
    state: tuple[Path, ...]
    shells: dict[str, Path]
    manual: Path
    systemctl: tuple[str, ...]

    @property
    def service(self) -> str:
        return self.unit.stem


def of_the_system(root: Path = Path("/")) -> Places:
    """``root`` is for tests."""
    share = root / "usr/local/share"
    return Places(
        unit=root / "etc/systemd/system/kwsd.service",
        config=root / "etc/kwsd/kwsd.yaml",
        sysusers=root / "etc/sysusers.d/kwsd.conf",
        state=(root / "var/lib/private/kwsd", root / "var/lib/kwsd"),
        shells={
            "bash": share / "bash-completion/completions/kwsd",
            "zsh": share / "zsh/site-functions/_kwsd",
            "fish": share / "fish/vendor_completions.d/kwsd.fish",
        },
        manual=share / "man/man1/kwsd.1",
        systemctl=("systemctl",),
    )


def of_the_user() -> Places:
    """In the XDG base directories. Raises UsageError without a home folder."""
    try:
        home = Path.home()
    except RuntimeError as error:
        raise UsageError("--user", "this user has no home folder", "Set HOME.") from error
    config = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config")
    share = Path(os.environ.get("XDG_DATA_HOME") or home / ".local/share")
    state = Path(os.environ.get("XDG_STATE_HOME") or home / ".local/state")
    return Places(
        unit=config / "systemd/user/kwsd-user.service",
        config=config / "kwsd/kwsd.yaml",
        sysusers=None,
        state=(state / "kwsd",),
        shells={"bash": share / "bash-completion/completions/kwsd", "fish": config / "fish/completions/kwsd.fish"},
        manual=share / "man/man1/kwsd.1",
        systemctl=("systemctl", "--user"),
    )


def places(user: bool) -> Places:
    return of_the_user() if user else of_the_system()


def program() -> str:
    """The path of this kwsd's command."""
    beside = Path(sys.executable).parent / "kwsd"
    found = str(beside) if beside.exists() else shutil.which("kwsd")
    if found is None:
        raise UsageError("install-service", "there is no command kwsd", "Install it: pip install .")
    return found


def check_visible(path: str) -> None:
    """Raises UsageError if the system unit, which does not see home folders, could not run a program."""
    real = Path(path).resolve()
    if hidden := next((folder for folder in HIDDEN if real.is_relative_to(folder)), None):
        raise UsageError(
            "install-service",
            f"{path} is in {hidden}, which a system service does not see",
            "Install kwsd into /opt/kwsd first (docs/service.md), or take --user",
        )


def install(where: Places, command: str) -> Iterator[Step]:
    """The steps that make kwsd a service."""
    from kwsd.cli.completion import script
    from kwsd.cli.manual import page

    unit = _first(UNITS, where.unit.name).read_text("utf-8").replace(PROGRAM, _escaped(command))
    yield _write(where.unit, unit)
    if where.sysusers is not None:
        yield _write(where.sysusers, _first(UNITS, "kwsd.sysusers.conf").read_text("utf-8"))
    if where.config.exists():
        yield Step(f"keep   {where.config}, which is there already", lambda: None)
    else:
        yield _write(where.config, configuration(where))
    for shell, path in where.shells.items():
        yield _write(path, script(shell))
    yield _write(where.manual, page())
    if where.sysusers is not None:
        yield _run("systemd-sysusers", str(where.sysusers))
    yield _run(*where.systemctl, "daemon-reload")
    yield _run(*where.systemctl, "enable", where.service)
    yield _run(*where.systemctl, "restart", "--no-block", where.service)  # which may wait for a microphone


def uninstall(where: Places, *, purge: bool) -> Iterator[Step]:
    """The steps that undo it; settings that the user has changed, and stored data, are removed only with ``purge``."""
    if where.unit.exists():
        yield _run(*where.systemctl, "disable", "--now", where.service)
    made = [where.unit, where.sysusers, *where.shells.values(), where.manual]
    there = [path for path in made if path is not None and path.exists()]
    for path in there:
        yield _remove(path)
    yield from _take_back_settings(where, purge)
    if not there:
        yield Step(f"done.  no service is installed: {where.unit} does not exist", lambda: None)
        return
    yield _run(*where.systemctl, "daemon-reload")
    if where.sysusers in there and _has_user():
        yield _run("userdel", "kwsd")


def _take_back_settings(where: Places, purge: bool) -> Iterator[Step]:
    if where.config.exists():
        if purge or where.config.read_text("utf-8", "replace") == configuration(where):
            yield _remove(where.config)
        else:
            yield Step(f"keep   {where.config}, which was changed; --purge removes it", lambda: None)
    for path in where.state:
        try:
            is_there = path.is_symlink() or path.exists()
            has_content = path.exists() and any(path.iterdir())
        except PermissionError:  # of the system's service, to an ordinary user, who may only ask for a dry run
            yield Step(f"skip   {path}, which this user cannot look at", lambda: None)
            continue
        if is_there and (purge or not has_content):
            yield Step(f"remove {path}", lambda path=path: _remove_tree(path))  # type: ignore[misc]
        elif is_there:
            yield Step(f"keep   {path}, what kwsd has stored; --purge removes it", lambda: None)


def _has_user() -> bool:
    import pwd

    try:
        pwd.getpwnam("kwsd")
    except KeyError:
        return False
    return True


def configuration(where: Places) -> str:
    """The configuration of a new service: every key with its default, and for the system the group."""
    example = next(path for path in EXAMPLES if path.exists()).read_text("utf-8")
    return example + (SOCKET if where.sysusers is not None else "")


def _write(path: Path, text: str) -> Step:
    def carry_out() -> None:
        path.parent.mkdir(0o755, parents=True, exist_ok=True)
        beside = path.with_name(f".{path.name}.new")
        beside.write_text(text, "utf-8")
        beside.chmod(0o644)
        beside.rename(path)

    return Step(f"write  {path}", carry_out)


def _remove(path: Path) -> Step:
    def carry_out() -> None:
        path.unlink(missing_ok=True)
        if path.parent.name == "kwsd":
            with contextlib.suppress(OSError):  # there is something else
                path.parent.rmdir()

    return Step(f"remove {path}", carry_out)


def _remove_tree(path: Path) -> None:
    if path.is_symlink():
        path.unlink()
    else:
        shutil.rmtree(path)


def _run(*words: str) -> Step:
    def carry_out() -> None:
        try:
            done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        except OSError as error:
            raise UnavailableError(words[0], f"cannot be run: {error.strerror}") from error
        if done.returncode:
            why = (done.stderr or done.stdout).strip() or f"ended with {done.returncode}"
            raise UnavailableError(" ".join(words), why)

    return Step(f"run    {' '.join(words)}", carry_out)


def carry_out(steps: Iterator[Step], *, dry_run: bool) -> None:
    """Prints each step, and takes it unless it is a dry run. Raises KwsdError."""
    for step in _told(steps):
        print(step.text, flush=True)
        if dry_run:
            continue
        try:
            step.carry_out()
        except OSError as error:
            raise OutputError(step.text.partition(" ")[2].strip(), error.strerror or str(error)) from error


def _told(steps: Iterator[Step]) -> Iterator[Step]:
    """The steps; finding the next one looks at folders, which may be closed to this user."""
    try:
        yield from steps
    except OSError as error:
        raise OutputError(str(error.filename), f"cannot be looked at: {error.strerror}") from error


def check_rights(command: str, user: bool, dry_run: bool) -> None:
    """Raises UsageError for the wrong user."""
    if dry_run:
        return
    if user and os.geteuid() == 0 and "SUDO_USER" in os.environ:
        raise UsageError(command, "root has no session to listen in", f"Without sudo: kwsd {command} --user")
    if not user and os.geteuid() != 0:
        raise UsageError(command, "only root may do this", f"sudo kwsd {command}, or for your own session: --user")


def _first(folders: tuple[Path, ...], name: str) -> Path:
    return next(folder / name for folder in folders if (folder / name).exists())


def _escaped(path: str) -> str:
    """A path quoted as one word for systemd."""
    escaped = path.replace("%", "%%")
    return f'"{escaped}"' if " " in escaped else escaped
