"""A .tar.gz of word folders into the folder of words. Nothing of it is trusted."""

import gzip
import shutil
import tarfile
import zlib
from pathlib import Path, PurePosixPath

from kwsd.errors import InputError, OutputError

_BLOCK = 1 << 20


def unpack(archive: Path, folder: Path) -> int:
    """Unpack all files of ``archive`` into ``folder``; how many. What is there already under a name is replaced.

    It is unpacked beside its place and moved when all of it is there. Only plain files and folders are taken, with the
    permissions of new files; a name that leads elsewhere or a link makes all of it refused.

    Raises:
        InputError: the archive is broken or refused; nothing of it is left.
        OutputError: the files cannot be written; nothing is left but what had been moved.
    """
    place = folder / f".{archive.name}.unpacking"
    try:
        shutil.rmtree(place, ignore_errors=True)  # of a run that was killed
        try:
            count = _extract(archive, place)
            _move(place, folder)
        finally:
            shutil.rmtree(place, ignore_errors=True)
    except OSError as error:
        raise OutputError(
            str(folder), f"cannot be written: {error.strerror or error}", "Make room, then run it again."
        ) from error
    return count


def _extract(archive: Path, place: Path) -> int:
    count = 0
    place.mkdir()
    try:
        with gzip.open(archive) as stream, tarfile.open(fileobj=stream) as tar:
            for member in tar:
                if member.isdir():
                    _inside(archive, place, member.name).mkdir(parents=True, exist_ok=True)
                    continue
                content = tar.extractfile(member) if member.isreg() else None
                if content is None:
                    raise InputError(str(archive), f"refused: {member.name!r} is neither a file nor a folder")
                path = _inside(archive, place, member.name)
                path.parent.mkdir(parents=True, exist_ok=True)
                with path.open("wb") as file:
                    shutil.copyfileobj(content, file)
                count += 1
            while stream.read(_BLOCK):  # to the check sum at its end, which tarfile does not look at
                continue
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise InputError(str(archive), f"broken: {error}", "Remove it and download it again.") from error
    except OSError as error:
        if error.errno is None:  # gzip's BadGzipFile
            raise InputError(str(archive), f"broken: {error}", "Remove it and download it again.") from error
        raise
    return count


def _inside(archive: Path, place: Path, name: str) -> Path:
    """Where a member goes. InputError when that is not below ``place``."""
    parts = PurePosixPath(name)
    if parts.is_absolute() or ".." in parts.parts or "\0" in name:
        raise InputError(str(archive), f"refused: {name!r} leads out of the folder")
    return place / parts


def _move(source: Path, target: Path) -> None:
    """Move what is in ``source`` into ``target``: whole folders where there are none of the name."""
    for path in sorted(source.iterdir()):
        there = target / path.name
        if path.is_dir() and there.is_dir():
            _move(path, there)
        else:
            path.replace(there)
