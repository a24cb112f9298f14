#!/usr/bin/env python3
"""Runs notebooks from start to end, each in a fresh kernel, and fails where a cell does.

    python tools/execute_notebook.py                                 the three of tools/notebooks, in order
    python tools/execute_notebook.py FILE.ipynb --set words=yes,no   one, with a value of its parameters cell replaced
    python tools/execute_notebook.py --output_dir /tmp/executed      keeps copies with all outputs

The files themselves stay as they are, without outputs. It needs `pip install 'kwsd[train]'`.
"""

import argparse
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

NOTEBOOKS = sorted((Path(__file__).parent / "notebooks").glob("*.ipynb"))
TIMEOUT_S = 24 * 3600
"""Training is one cell."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("notebooks", nargs="*", type=Path, default=NOTEBOOKS, metavar="FILE")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a parameter; repeatable")
    parser.add_argument("--output_dir", type=Path, metavar="DIR", help="write executed copies here")
    args = parser.parse_args()
    pairs = [item.partition("=") for item in args.set]
    values = {name: value for name, _, value in pairs}
    notebooks = {path: nbformat.read(path, as_version=4) for path in args.notebooks}
    known = set().union(*(set_parameters(notebook, values) for notebook in notebooks.values()))
    if values.keys() - known:
        parser.error(f"no notebook has the parameter {', '.join(sorted(values.keys() - known))}")
    for path, notebook in notebooks.items():
        print(f"{path.name} ...", file=sys.stderr)
        try:
            NotebookClient(notebook, timeout=TIMEOUT_S, kernel_name="python3").execute()
        except CellExecutionError as error:
            print(f"{path}: {error}", file=sys.stderr)
            return 1
        finally:
            if args.output_dir:
                args.output_dir.mkdir(parents=True, exist_ok=True)
                nbformat.write(notebook, args.output_dir / path.name)
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
