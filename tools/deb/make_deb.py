"""A Debian package of kwsd: an environment of its own under /opt/kwsd, the units, the group, the settings.

    make deb        (or: python tools/deb/make_deb.py [--output FOLDER])

Made on the system that it is for: it needs that system's python3 with venv, and dpkg-deb; pip fetches what kwsd needs.
"""

import argparse
import gzip
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from kwsd import __version__
from kwsd.cli.completion import script
from kwsd.cli.manual import page
from kwsd.cli.service_files import SOCKET

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
HOME = "/opt/kwsd"
PYTHON = "/usr/bin/python3"
SCRIPTS = ("postinst", "prerm", "postrm")

CONTROL = """\
Package: kwsd
Version: {version}
Architecture: {architecture}
Maintainer: The kwsd authors <kwsd@localhost>
Depends: python3 (>= {python}), python3 (<< {next_python}), libportaudio2
Recommends: libasound2-plugins
Suggests: ffmpeg
Section: sound
Priority: optional
Installed-Size: {size_kib}
Description: keyword-spotting daemon
 Listens to a microphone, hears a handful of words, and tells programs about them: on standard output, a UNIX socket,
 by webhooks and commands. Needs no network. Nothing heard is stored or sent unless the configuration asks for it.
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=ROOT / "dist", help="folder of the package (default: dist)")
    args = parser.parse_args()
    if missing := next((name for name in ("dpkg-deb", "dpkg") if shutil.which(name) is None), None):
        print(f"make deb: {missing} is not here: apt-get install dpkg", file=sys.stderr)
        return 69
    args.output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="kwsd-deb-") as folder:
        tree = Path(folder) / "tree"
        make_environment(tree / HOME[1:])
        complete(tree)
        package = build(tree, args.output)
    print(package)
    return 0


def make_environment(target: Path) -> None:
    """The system's Python with kwsd in it, to be moved to HOME."""
    target.parent.mkdir(parents=True)
    do(PYTHON, "-m", "venv", target)
    do(target / "bin/python", "-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-compile", ROOT)
    do(target / "bin/python", "-m", "pip", "uninstall", "-q", "-y", "pip", "setuptools")
    move_to_home(target)
    # Compiled now, by the path that it will have: a package leaves nothing behind that it does not know of.
    invalidation = ("--invalidation-mode", "unchecked-hash")
    do(target / "bin/python", "-m", "compileall", "-q", *invalidation, "-s", target, "-p", HOME, target / "lib")


def move_to_home(target: Path) -> None:
    """Puts HOME in the place of the folder in which the environment was made."""
    for path in [target / "pyvenv.cfg", *(target / "bin").iterdir()]:
        if path.is_symlink() or not path.is_file():
            continue
        data = path.read_bytes()
        path.write_bytes(data.replace(str(target).encode(), HOME.encode()))


def complete(tree: Path) -> None:
    """All else that is in the package."""
    share = tree / "usr/share"
    write(tree / "usr/lib/systemd/system/kwsd.service", (ROOT / "systemd/kwsd.service").read_text())
    write(tree / "usr/lib/systemd/user/kwsd-user.service", (ROOT / "systemd/kwsd-user.service").read_text())
    write(tree / "usr/lib/sysusers.d/kwsd.conf", (ROOT / "systemd/kwsd.sysusers.conf").read_text())
    write(tree / "etc/kwsd/kwsd.yaml", (ROOT / "examples/kwsd.yaml").read_text() + SOCKET)
    write(share / "bash-completion/completions/kwsd", script("bash"))
    write(share / "zsh/vendor-completions/_kwsd", script("zsh"))
    write(share / "fish/vendor_completions.d/kwsd.fish", script("fish"))
    write_packed(share / "man/man1/kwsd.1.gz", page())
    write_packed(share / "doc/kwsd/changelog.gz", (ROOT / "CHANGELOG.md").read_text())
    licence = "On Debian the Apache License is /usr/share/common-licenses/Apache-2.0.\n\n"
    write(share / "doc/kwsd/copyright", licence + (ROOT / "NOTICE").read_text())
    (tree / "usr/bin").mkdir(parents=True)
    (tree / "usr/bin/kwsd").symlink_to(f"{HOME}/bin/kwsd")


def build(tree: Path, output: Path, *, compression: str = "xz") -> Path:
    """Makes the package of a tree."""
    control = tree / "DEBIAN"
    control.mkdir()
    size = sum(path.lstat().st_size for path in tree.rglob("*") if not path.is_dir())
    minor = int(said(PYTHON, "-c", "import sys; print(sys.version_info.minor)"))
    architecture = said("dpkg", "--print-architecture")
    values = {
        "version": __version__,
        "architecture": architecture,
        "python": f"3.{minor}",
        "next_python": f"3.{minor + 1}",
        "size_kib": size // 1024 + 1,
    }
    write(control / "control", CONTROL.format(**values))
    write(control / "conffiles", "/etc/kwsd/kwsd.yaml\n")
    for name in SCRIPTS:
        shutil.copy(HERE / name, control / name)
        (control / name).chmod(0o755)
    package = output / f"kwsd_{__version__}_{architecture}.deb"
    do("dpkg-deb", "--root-owner-group", f"-Z{compression}", "--build", tree, package)
    return package


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o644)


def write_packed(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(text.encode(), mtime=0))


def said(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def do(*command: object) -> None:
    subprocess.run([str(part) for part in command], check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    sys.exit(main())
