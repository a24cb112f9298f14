"""Files that appear whole or not at all."""

import os
from pathlib import Path

from kwsd.errors import KwsdError


def write_whole(path: Path, content: bytes | str) -> None:
    """Write ``path`` under a temporary name beside it, then rename. A missing folder is made. Raises KwsdError."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(content.encode() if isinstance(content, str) else content)
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise KwsdError(str(path), f"cannot be written: {error.strerror or error}") from error
