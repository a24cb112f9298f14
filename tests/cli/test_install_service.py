"""A service is made of kwsd step by step, and taken back; each step is said, and can be shown before."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from kwsd import config
from kwsd.cli import service_files
from kwsd.errors import UnavailableError, UsageError
from tests.daemon.test_units import analyze, needs_systemd
from tests.helpers.ordinary_user import closed, run_as_ordinary_user  # noqa: F401 (a fixture)

PROGRAM = "/opt/my kwsd/100%/kwsd"


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A home folder, and a systemctl that only notes what it is asked."""
    for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "SUDO_USER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("systemctl", "systemd-sysusers", "userdel"):
        (tools / name).write_text(f'#!/bin/sh\necho {name} "$@" >> {tmp_path}/asked\n')
        (tools / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    return tmp_path / "home"


def asked(home: Path) -> list[str]:
    path = home.parent / "asked"
    return path.read_text().splitlines() if path.exists() else []


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


USERS_FILES = [
    ".config/fish/completions/kwsd.fish",
    ".config/kwsd/kwsd.yaml",
    ".config/systemd/user/kwsd-user.service",
    ".local/share/bash-completion/completions/kwsd",
    ".local/share/man/man1/kwsd.1",
]


def test_a_user_s_service_is_made_and_taken_back(kwsd, home, capsys):
    assert kwsd("install_service", "--user") == 0
    said = capsys.readouterr().out.splitlines()
    assert files(home) == USERS_FILES
    assert [line for line in said if line.startswith("write ")] == [
        f"write  {home}/{name}" for name in sorted(USERS_FILES, key=[line.split("/home/")[-1] for line in said].index)
    ]
    assert asked(home) == [
        "systemctl --user daemon-reload",
        "systemctl --user enable kwsd-user",
        "systemctl --user restart --no-block kwsd-user",
    ]
    assert said[-2:] == [
        "done.  systemctl --user status kwsd-user says what it does",
        f"       settings: {home}/.config/kwsd/kwsd.yaml; after a change: systemctl --user reload kwsd-user",
    ]
    assert config.load(str(home / ".config/kwsd/kwsd.yaml")) == config.Settings()
    unit = (home / ".config/systemd/user/kwsd-user.service").read_text()
    assert f"ExecStart={Path(sys.executable).parent / 'kwsd'} --config " in unit
    assert kwsd("uninstall_service", "--user") == 0
    assert files(home) == []
    assert asked(home)[3:] == ["systemctl --user disable --now kwsd-user", "systemctl --user daemon-reload"]
    assert kwsd("uninstall_service", "--user") == 0
    assert "no service is installed" in capsys.readouterr().out


def test_settings_of_a_person_are_kept_and_an_upgrade_takes_the_new_unit(kwsd, home, capsys):
    kwsd("install_service", "--user")
    settings, unit = home / ".config/kwsd/kwsd.yaml", home / ".config/systemd/user/kwsd-user.service"
    settings.write_text("model: tiny\n")
    written = unit.read_text()
    unit.write_text("of an older kwsd")
    (home / ".local/state/kwsd").mkdir(parents=True)
    (home / ".local/state/kwsd/hook.db").touch()
    kwsd("install_service", "--user")
    assert settings.read_text() == "model: tiny\n" and unit.read_text() == written
    assert f"keep   {settings}, which is there already" in capsys.readouterr().out
    kwsd("uninstall_service", "--user")
    said = capsys.readouterr().out
    assert files(home) == [".config/kwsd/kwsd.yaml", ".local/state/kwsd/hook.db"]
    assert f"keep   {settings}, which was changed" in said and "keep   " + str(home / ".local/state/kwsd") in said
    kwsd("uninstall_service", "--user", "--purge")
    assert files(home) == [] and not (home / ".local/state/kwsd").exists()


@pytest.mark.parametrize("line", [["install_service"], ["install_service", "--user"], ["uninstall_service"]])
def test_a_dry_run_says_the_steps_and_does_none(kwsd, home, line, capsys, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(service_files, "HIDDEN", ())
    assert kwsd(*line, "--dry-run") == 0
    assert capsys.readouterr().out.splitlines()
    assert not home.exists() and asked(home) == []


def run_dry(line, env=None):
    """The steps that an ordinary user is told, or the one line of what is wrong."""
    done = run_as_ordinary_user(*line, "--dry-run", env=env)
    return done.process.returncode, done.lines, done.log


def test_a_dry_run_in_a_closed_folder_is_one_line(closed):  # noqa: F811
    code, _, log = run_dry(["install-service", "--user"], env={"XDG_CONFIG_HOME": str(closed / "config")})
    assert code == 74
    assert log == [f"kwsd: {closed}/config/kwsd/kwsd.yaml: cannot be looked at: Permission denied"]


def test_what_an_ordinary_user_cannot_look_at_is_skipped_and_the_rest_is_told(closed):  # noqa: F811
    """As the system's /var/lib/private is, for which a dry run needs no root."""
    code, lines, log = run_dry(["uninstall-service", "--user"], env={"XDG_STATE_HOME": str(closed)})
    assert (code, log) == (0, [])
    assert f"skip   {closed}/kwsd, which this user cannot look at" in lines


def test_without_a_home_folder_it_is_one_line(kwsd, monkeypatch, capsys):
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", homeless)
    assert kwsd("install_service", "--user", "--dry-run") == 2
    assert capsys.readouterr().err == "kwsd: --user: this user has no home folder. Set HOME.\n"


def test_the_system_s_service_has_its_group_and_is_taken_back(home, tmp_path, capsys, monkeypatch):
    root = tmp_path / "root"
    where = service_files.of_the_system(root)
    service_files.carry_out(service_files.install(where, PROGRAM), dry_run=False)
    assert [Path(name).name for name in files(root)] == [
        "kwsd.yaml", "kwsd.service", "kwsd.conf", "kwsd", "kwsd.fish", "kwsd.1", "_kwsd"
    ]  # fmt: skip
    assert asked(home) == [
        f"systemd-sysusers {root}/etc/sysusers.d/kwsd.conf",
        "systemctl daemon-reload",
        "systemctl enable kwsd",
        "systemctl restart --no-block kwsd",
    ]
    [sink] = config.load(str(where.config)).sinks
    assert (sink.type, sink.path, sink.group) == ("socket", "/run/kwsd/kwsd.sock", "kwsd")
    assert 'ExecStart="/opt/my kwsd/100%%/kwsd" --config /etc/kwsd/kwsd.yaml' in where.unit.read_text()
    monkeypatch.setattr(service_files, "_has_user", lambda: True)
    (root / "var/lib/private/kwsd").mkdir(parents=True)  # as systemd leaves it where nothing was stored
    (root / "var/lib/kwsd").symlink_to("private/kwsd")
    service_files.carry_out(service_files.uninstall(where, purge=False), dry_run=False)
    assert files(root) == [] and not (root / "var/lib/private/kwsd").exists()
    assert not (root / "var/lib/kwsd").is_symlink()
    assert asked(home)[4:] == ["systemctl disable --now kwsd", "systemctl daemon-reload", "userdel kwsd"]


@needs_systemd
@pytest.mark.parametrize("user", [False, True])
def test_systemd_takes_the_unit_with_a_path_of_any_characters(home, tmp_path, user):
    where = service_files.of_the_user() if user else service_files.of_the_system(tmp_path)
    stub = tmp_path / "a folder, 100%" / "kwsd"
    stub.parent.mkdir()
    stub.write_text("#!/bin/sh\n")
    stub.chmod(0o755)
    service_files.carry_out(service_files.install(where, str(stub)), dry_run=False)
    result = analyze(tmp_path, "--user" if user else "--system", "verify", str(where.unit))
    assert (result.returncode, result.stdout) == (0, "")


@pytest.mark.parametrize("line", ["install-service", "uninstall-service"])
def test_who_may_not_is_told_what_to_type(kwsd, home, line, capsys, monkeypatch):
    command = line.replace("-", "_")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert kwsd(command) == 2
    assert capsys.readouterr().err == (
        f"kwsd: {line}: only root may do this. sudo kwsd {line}, or for your own session: --user\n"
    )
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setenv("SUDO_USER", "me")
    assert kwsd(command, "--user") == 2
    assert f"Without sudo: kwsd {line} --user" in capsys.readouterr().err
    assert asked(home) == []


def test_a_program_that_the_unit_could_not_see_is_refused():
    with pytest.raises(UsageError, match="kwsd is in /home, which a system service does not see"):
        service_files.check_visible("/home/me/kwsd/.venv/bin/kwsd")
    service_files.check_visible("/opt/kwsd/bin/kwsd")


def test_a_step_that_fails_ends_it_with_one_line(kwsd, home, capsys):
    systemctl = home.parent / "tools" / "systemctl"
    systemctl.write_text("#!/bin/sh\necho 'Failed to connect to bus' >&2; exit 1\n")
    assert kwsd("install_service", "--user") == UnavailableError.exit_code
    assert capsys.readouterr().err == "kwsd: systemctl --user daemon-reload: Failed to connect to bus\n"
    (home / ".config").rename(home / "moved")
    (home / ".config").write_text("in the way")
    assert kwsd("install_service", "--user") == 74
    assert f"kwsd: {home}/.config/systemd/user/kwsd-user.service: " in capsys.readouterr().err


# The manual page and the shells.


def test_the_manual_page_has_every_command_and_option_and_nothing_roff_trips_over(capsys):
    from kwsd.cli.completion import options
    from kwsd.cli.main import COMMANDS
    from kwsd.cli.manual import page

    text = page().replace("\\-", "-")
    for command in COMMANDS:
        assert f".SS kwsd {command}\n" in text
        assert all(name in text for option in options(command) for name in option.names if name not in ("-h", "--help"))
    if shutil.which("groff") is None:
        pytest.skip("groff is not installed (apt-get install groff)")
    done = subprocess.run(["groff", "-man", "-ww", "-Tutf8"], input=page().encode(), capture_output=True)
    assert (done.returncode, done.stderr) == (0, b"")


def complete(shell: str, program: str, *arguments: str) -> set[str]:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed (apt-get install {shell})")
    done = subprocess.run([shell, *arguments, "-c", program], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, ""), done
    return set(done.stdout.split())


LINES = [
    (["wat"], {"watch"}),
    (["--sock"], {"--socket"}),
    (["watch", "--st"], {"--status"}),
    (["completion", "--h"], {"--help"}),
    (["--format", "t"], {"text"}),
    (["-m", "ti"], {"tiny", "tiny-float32"}),
]


@pytest.mark.parametrize(("words", "expected"), LINES)
def test_bash_completes(words, expected, tmp_path):
    from kwsd.cli.completion import script

    program = f"""{script("bash")}
        cd {tmp_path}; COMP_WORDS=(kwsd {" ".join(words)}); COMP_CWORD={len(words)}; _kwsd; echo "${{COMPREPLY[@]}}" """
    assert complete("bash", program, "--norc") == expected


@pytest.mark.parametrize(("words", "expected"), LINES)
def test_fish_completes(words, expected, tmp_path):
    from kwsd.cli.completion import script

    (tmp_path / "kwsd.fish").write_text(script("fish"))
    program = f"cd {tmp_path}; source kwsd.fish; complete -C 'kwsd {' '.join(words)}' | cut -f 1"
    assert complete("fish", program, "--no-config") == expected


def test_zsh_takes_the_script(tmp_path):
    from kwsd.cli.completion import script

    (tmp_path / "_kwsd").write_text(script("zsh"))
    assert complete("zsh", f"zsh -n {tmp_path}/_kwsd && echo fine", "-f") == {"fine"}
