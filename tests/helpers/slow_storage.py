"""``slow://PATH``: files of this machine through fsspec, each of which takes its time to be opened.

Imported by whoever is to know the address: ``dask worker --preload tests/helpers/slow_storage.py``.
"""

import time

import fsspec
from fsspec.implementations.local import LocalFileSystem

OPEN_S = 0.4


class SlowFileSystem(LocalFileSystem):
    protocol = "slow"

    def _open(self, path, mode="rb", block_size=None, **kwargs):
        time.sleep(OPEN_S)
        return super()._open(path, mode, block_size, **kwargs)

    @classmethod
    def _strip_protocol(cls, path):
        return LocalFileSystem._strip_protocol(str(path).removeprefix("slow://"))

    def unstrip_protocol(self, name):
        return f"slow://{name}"


fsspec.register_implementation("slow", SlowFileSystem, clobber=True)


if __name__ == "__main__":  # kwsd, with the address known
    import sys

    from kwsd.cli.main import main

    sys.exit(main())
