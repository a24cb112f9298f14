"""Results as whole files."""

import os
from pathlib import Path

from kwsd.errors import OutputError


def write_whole(path: Path, content: bytes) -> None:
    """Write under a temporary name, then rename, so that no half file is ever seen. OutputError says why not."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    except OSError as error:
        raise OutputError(
            str(path), f"cannot be written: {error.strerror}", "Make room or name another file."
        ) from error
    finally:  # after Ctrl-C too
        temporary.unlink(missing_ok=True)
