"""``kwsd uninstall-service``: takes back what ``install-service`` did."""

import argparse

HELP = "Takes back what install-service did. Keeps settings that were changed, and what kwsd has stored."
EXAMPLE = "sudo kwsd uninstall-service --purge"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--user", action="store_true", help="the service of your own session")
    parser.add_argument("--purge", action="store_true", help="settings and what was stored (spools, recordings) too")
    parser.add_argument("--dry-run", action="store_true", help="say the steps, and do none")


def run(args: argparse.Namespace) -> int:
    """Uninstalls, or shows what would be done. Raises KwsdError."""
    from kwsd.cli import service_files

    service_files.check_rights("uninstall-service", args.user, args.dry_run)
    service_files.carry_out(
        service_files.uninstall(service_files.places(args.user), purge=args.purge), dry_run=args.dry_run
    )
    return 0
