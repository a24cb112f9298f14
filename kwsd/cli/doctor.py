"""``kwsd doctor``: what is wrong on this machine, and how to fix it."""

import argparse
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kwsd.audio.diagnosis import Finding
    from kwsd.config import Settings

HELP = "Checks what kwsd needs, and says how to fix it. Covers model, runtime, audio, signal (in dBFS) and socket."
EXAMPLE = "kwsd doctor --device usb"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from kwsd.cli.options import add_hearing_arguments

    add_hearing_arguments(parser)
    parser.add_argument("--json", action="store_true", help='{"ok":..,"checks":[{"check","result","text","hint"}]}')


def run(args: argparse.Namespace) -> int:
    from kwsd import core_dumps
    from kwsd.cli.options import read_settings
    from kwsd.errors import UnavailableError
    from kwsd.events import encode

    core_dumps.forbid()
    findings = []
    for finding in examine(read_settings(args)):
        findings.append(finding)
        if not args.json:
            print(f"{finding.result:4}  {finding.check}: {finding.text}", flush=True)
            if finding.mend:
                print(f"      {finding.mend}", flush=True)
    failed = any(finding.result == "fail" for finding in findings)
    if args.json:
        print(encode({"ok": not failed, "checks": [as_json(finding) for finding in findings]}))
    return UnavailableError.exit_code if failed else 0


def as_json(finding: "Finding") -> dict[str, str]:
    """A finding for programs; ``mend`` is the old name of ``hint``, kept for compatibility."""
    return finding._asdict() | {"hint": finding.mend}


def examine(settings: "Settings") -> "Iterator[Finding]":
    """All checks, one after the other."""
    from kwsd.audio.diagnosis import Finding, check_audio
    from kwsd.errors import KwsdError
    from kwsd.model import load, runtime

    rate_hz = 16_000
    try:
        yield Finding("runtime", "ok", runtime.choose(None))
    except KwsdError as error:
        yield Finding("runtime", "fail", f"{error.what}: {error.why}", error.mend)
    else:
        try:
            for choice in settings.models:
                model = load(choice.model, settings.labels, settings.frontend)
                rate_hz = model.sample_rate_hz
                names = " verified by ".join(
                    f"{each.name} ({each.path})" for each in (model, model.verifier) if each is not None
                )
                yield Finding("model", "ok", f"{names}, {len(model.labels)} labels, {rate_hz} Hz")
        except KwsdError as error:
            yield Finding("model", "fail", "; ".join(error.lines))
    try:
        yield from check_audio(settings.audio, rate_hz)
    except KwsdError as error:
        yield Finding("portaudio", "fail", f"{error.what}: {error.why}", error.mend)
    paths = socket_paths(settings)
    yield from map(check_socket_folder, paths)
    if not paths:
        yield Finding("socket", "ok", "none is configured")


def socket_paths(settings: "Settings") -> list[Path]:
    """Where the daemon would serve: as configured, else as under systemd, else where `kwsd watch` looks first."""
    from kwsd.sinks.socket.settings import SocketSettings

    if settings.sinks is not None:
        return [Path(sink.path) for sink in settings.sinks if isinstance(sink, SocketSettings)]
    if folder := os.environ.get("RUNTIME_DIRECTORY"):
        return [Path(folder.split(":")[0]) / "kwsd.sock"]
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    return [Path(runtime) / "kwsd" / "kwsd.sock"] if runtime else []


def check_socket_folder(path: Path) -> "Finding":
    """Whether a socket could be created there; kwsd creates its last folder if it is missing."""
    from kwsd.audio.diagnosis import Finding
    from kwsd.sinks.place import why_unmakable

    if len(os.fsencode(path)) > 107:
        return Finding(
            "socket", "fail", f"{path}: longer than the 107 bytes of a socket's path", "Choose a shorter one."
        )
    if (why := why_unmakable(path.parent)) is not None:
        return Finding("socket", "fail", f"{path}: {why}", "Choose another path (--socket), or make that folder.")
    return Finding("socket", "ok", f"{path} can be made")
