#!/usr/bin/env python3
"""Runs notebooks from start to end, each in a fresh kernel, and fails where a cell does.

    python tools/execute_notebook.py                                 the three of tools/notebooks, in order
    python tools/execute_notebook.py FILE.ipynb --set words=yes,no   one, with a value of its parameters cell replaced
    python tools/execute_notebook.py --set work_dir=/tmp/mine        whatever is made goes there

Shows which cell is at work and what the cells print. Copies with all outputs are kept in `executed` of work_dir; the
files themselves stay as they are, without outputs. It needs `pip install 'kwsd[train]'`.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

NOTEBOOKS = sorted((Path(__file__).parent / "notebooks").glob("*.ipynb"))
WORK_DIR = "/tmp/kwsd_notebooks"
"""As their cells of parameters have it."""
TIMEOUT_S = 24 * 3600
"""Training is one cell."""


class Client(NotebookClient):
    """Runs a notebook, and shows on standard error where it is and what the cells print."""

    def process_message(self, msg: dict[str, Any], cell: nbformat.NotebookNode, cell_index: int) -> Any:
        if msg["msg_type"] == "stream":
            print(msg["content"]["text"], end="", file=sys.stderr, flush=True)
        return super().process_message(msg, cell, cell_index)


def client(name: str, notebook: nbformat.NotebookNode) -> Client:
    """What executes a notebook of this name."""
    places = [place for place, cell in enumerate(notebook.cells) if cell.cell_type == "code"]

    def tell(cell: nbformat.NotebookNode, cell_index: int) -> None:
        if cell_index in places:
            print(f"{name}: cell {places.index(cell_index) + 1} of {len(places)}", file=sys.stderr, flush=True)

    quiet = ["--IPKernelApp.log_level=ERROR"]  # it warns of a socket that nobody else uses
    return Client(notebook, timeout=TIMEOUT_S, kernel_name="python3", on_cell_start=tell, extra_arguments=quiet)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("notebooks", nargs="*", type=Path, default=NOTEBOOKS, metavar="FILE")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a parameter; repeatable")
    parser.add_argument(
        "--output_dir", type=Path, metavar="DIR", help="executed copies (default: executed in work_dir)"
    )
    args = parser.parse_args()
    pairs = [item.partition("=") for item in args.set]
    values = {name: value for name, _, value in pairs}
    notebooks = {path: nbformat.read(path, as_version=4) for path in args.notebooks}
    known = set().union(*(set_parameters(notebook, values) for notebook in notebooks.values()))
    if values.keys() - known:
        parser.error(f"no notebook has the parameter {', '.join(sorted(values.keys() - known))}")
    kept = args.output_dir or Path(values.get("work_dir", WORK_DIR)) / "executed"
    try:
        kept.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        parser.error(f"--output_dir: {kept} cannot be written: {error.strerror}")
    for path, notebook in notebooks.items():
        try:
            client(path.name, notebook).execute()
        except CellExecutionError as error:
            print(f"{path}: {error}", file=sys.stderr)
            return 1
        finally:
            nbformat.write(notebook, kept / path.name)
            print(f"{path.name}: with its outputs in {kept / path.name}", file=sys.stderr)
    return 0


def set_parameters(notebook: nbformat.NotebookNode, values: dict[str, str]) -> set[str]:
    """Put those ``values`` that the cell tagged "parameters" has behind it, as whole numbers where they are some.

    Their names.
    """
    for place, cell in enumerate(notebook.cells):
        if "parameters" in cell.metadata.get("tags", []):
            known = {name: value for name, value in values.items() if f"\n{name} =" in f"\n{cell.source}"}
            lines = [f"{name} = {int(value) if value.isdecimal() else value!r}" for name, value in known.items()]
            notebook.cells.insert(place + 1, nbformat.v4.new_code_cell("\n".join(lines)))
            return set(known)
    return set()


if __name__ == "__main__":
    sys.exit(main())
