"""``kwsd install-service``: installs kwsd as a systemd service, and prints each step."""

import argparse

HELP = "Installs kwsd as a systemd service. Prints each step: unit, configuration, group, completion, manual page."
EXAMPLE = "sudo kwsd install-service"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--user",
        action="store_true",
        help="install for your own session (desktops: PipeWire, PulseAudio), without root",
    )
    parser.add_argument("--dry-run", action="store_true", help="print the steps without taking them")


def run(args: argparse.Namespace) -> int:
    """Installs, or prints what would be done. Raises KwsdError."""
    from kwsd.cli import service_files

    service_files.check_rights("install-service", args.user, args.dry_run)
    where, command = service_files.places(args.user), service_files.program()
    if not args.user:
        service_files.check_visible(command)
    service_files.carry_out(service_files.install(where, command), dry_run=args.dry_run)
    if not args.dry_run:
        systemctl = " ".join(where.systemctl)
        print(f"done.  {systemctl} status {where.service} says what it does")
        print(f"       settings: {where.config}; after a change: {systemctl} reload {where.service}")
    return 0
