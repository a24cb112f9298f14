"""``kwsd uninstall-service``: undoes ``install-service``."""

import argparse

HELP = "Undoes install-service. Keeps settings that were changed, and what kwsd has stored."
EXAMPLE = "sudo kwsd uninstall-service --purge"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--user", action="store_true", help="uninstall the service of your own session")
    parser.add_argument(
        "--purge", action="store_true", help="also delete settings and what was stored (spools, recordings)"
    )
    parser.add_argument("--dry-run", action="store_true", help="print the steps without taking them")


def run(args: argparse.Namespace) -> int:
    """Uninstalls, or prints what would be done. Raises KwsdError."""
    from kwsd.cli import service_files

    service_files.check_rights("uninstall-service", args.user, args.dry_run)
    service_files.carry_out(
        service_files.uninstall(service_files.places(args.user), purge=args.purge), dry_run=args.dry_run
    )
    return 0
