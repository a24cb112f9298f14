"""Unpacks an untrusted .tar.gz of word folders."""

import gzip
import shutil
import tarfile
import zlib
from pathlib import Path, PurePosixPath

from kwsd.errors import InputError, OutputError

_BLOCK = 1 << 20


def unpack(archive: Path, folder: Path) -> int:
    """Unpack all files of ``archive`` into ``folder``; returns their number. Existing files are replaced.

    It is unpacked beside its place and moved when complete. Only plain files and folders are accepted, with the
    permissions of new files; if there is a link, or a name that leads elsewhere, the whole archive is rejected.

    Raises:
        InputError: the archive is broken or rejected; nothing of it is left.
        OutputError: the files cannot be written; only files already moved are left.
    """
    place = folder / f".{archive.name}.unpacking"
    try:
        shutil.rmtree(place, ignore_errors=True)  # left by a killed run
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
            while stream.read(_BLOCK):  # to the checksum at its end, which tarfile does not check
                continue
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise InputError(str(archive), f"broken: {error}", "Remove it and download it again.") from error
    except OSError as error:
        if error.errno is None:  # gzip's BadGzipFile
            raise InputError(str(archive), f"broken: {error}", "Remove it and download it again.") from error
        raise
    return count


def _inside(archive: Path, place: Path, name: str) -> Path:
    """The target of a member. InputError if that is not below ``place``."""
    parts = PurePosixPath(name)
    if parts.is_absolute() or ".." in parts.parts or "\0" in name:
        raise InputError(str(archive), f"refused: {name!r} leads out of the folder")
    return place / parts


def _move(source: Path, target: Path) -> None:
    """Move the content of ``source`` into ``target``, whole folders if none of that name exists."""
    for path in sorted(source.iterdir()):
        there = target / path.name
        if path.is_dir() and there.is_dir():
            _move(path, there)
        else:
            path.replace(there)
