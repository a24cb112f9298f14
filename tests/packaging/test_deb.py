"""The Debian package: what is in it, and that installing, removing and purging it leaves things as they have to be.

The environment in it is a stub here, since making one needs the network; `make deb` makes the real one.
"""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from kwsd import config
from tools.deb import make_deb

pytestmark = pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="dpkg is not installed: no Debian")


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("deb")
    stub = folder / "tree/opt/kwsd/bin/kwsd"
    stub.parent.mkdir(parents=True)
    stub.write_text("#!/bin/sh\n")
    make_deb.complete(folder / "tree")
    return make_deb.build(folder / "tree", folder)


@pytest.fixture
def dpkg(tmp_path: Path):
    """Runs dpkg on an empty system in a folder, which systemd does not manage."""
    root = tmp_path / "system"
    (root / "var/lib/dpkg/info").mkdir(parents=True)
    (root / "var/lib/dpkg/updates").mkdir()
    (root / "var/lib/dpkg/status").touch()

    def run(*arguments: str | Path) -> Path:
        force = "--force-script-chrootless,not-root,depends,confold,bad-path"
        done = subprocess.run(
            ["dpkg", f"--root={root}", f"--log={tmp_path}/log", force, *arguments],
            capture_output=True,
            text=True,
            env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
            timeout=120,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return root

    return run


def files(root: Path) -> set[str]:
    return {
        str(path.relative_to(root))
        for path in root.rglob("*")
        if not path.is_dir() and not path.is_relative_to(root / "var/lib/dpkg")
    }


def test_it_has_all_that_a_service_needs(package, dpkg):
    root = dpkg("--install", package)
    assert {
        "etc/kwsd/kwsd.yaml",
        "opt/kwsd/bin/kwsd",
        "usr/bin/kwsd",
        "usr/lib/systemd/system/kwsd.service",
        "usr/lib/systemd/user/kwsd-user.service",
        "usr/lib/sysusers.d/kwsd.conf",
        "usr/share/bash-completion/completions/kwsd",
        "usr/share/man/man1/kwsd.1.gz",
        "usr/share/doc/kwsd/copyright",
    } <= files(root)
    assert (root / "usr/bin/kwsd").readlink() == Path("/opt/kwsd/bin/kwsd")
    assert "ExecStart=/opt/kwsd/bin/kwsd " in (root / "usr/lib/systemd/system/kwsd.service").read_text()
    assert config.load(str(root / "etc/kwsd/kwsd.yaml")).sinks[0].group == "kwsd"
    listing = subprocess.run(["dpkg-deb", "--contents", package], check=True, capture_output=True, text=True).stdout
    assert all(" root/root " in line for line in listing.splitlines())
    assert not [line for line in listing.splitlines() if line[0] != "l" and line[8] == "w"], (
        "nothing is everybody's to write"
    )


def test_settings_outlive_a_removal_and_an_upgrade_and_a_purge_leaves_nothing(package, dpkg):
    root = dpkg("--install", package)
    settings = root / "etc/kwsd/kwsd.yaml"
    settings.write_text("model: tiny\n")
    dpkg("--install", package)
    assert settings.read_text() == "model: tiny\n"
    dpkg("--remove", "kwsd")
    assert files(root) == {"etc/kwsd/kwsd.yaml"} and (root / "opt").is_dir()
    dpkg("--install", package)
    (root / "var/lib/private/kwsd").mkdir(parents=True)
    (root / "var/lib/private/kwsd/hook.db").touch()
    (root / "var/lib/kwsd").symlink_to("private/kwsd")
    (root / "opt/kwsd/left.pyc").touch()
    dpkg("--purge", "kwsd")
    assert files(root) == set() and not (root / "opt/kwsd").exists() and not (root / "etc/kwsd").exists()


@pytest.mark.parametrize("name", make_deb.SCRIPTS)
def test_its_scripts_are_shell(name):
    subprocess.run(["sh", "-n", make_deb.HERE / name], check=True)


def test_an_environment_that_moves_keeps_no_trace_of_where_it_was_made(tmp_path):
    made = tmp_path / "made"
    (made / "bin").mkdir(parents=True)
    (made / "pyvenv.cfg").write_text(f"command = /usr/bin/python3 -m venv {made}\n")
    (made / "bin/kwsd").write_text(f"#!{made}/bin/python\n")
    (made / "bin/python").symlink_to("/usr/bin/python3")
    make_deb.move_to_home(made)
    assert (made / "bin/kwsd").read_text() == "#!/opt/kwsd/bin/python\n"
    assert str(made) not in (made / "pyvenv.cfg").read_text()
    assert (made / "bin/python").readlink() == Path("/usr/bin/python3")
