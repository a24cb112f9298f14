"""A sink's secret, from a file or from the environment, never from the configuration itself."""

import os
from collections.abc import Mapping

from kwsd.errors import ConfigError

SECRET_MAX_BYTES = 4096


def read_secret(
    sink: str, key: str, file: str | None, variable: str | None, environ: Mapping[str, str]
) -> bytes | None:
    """The secret without white space at its ends; None if neither a file nor a variable is named.

    Args:
        sink: the kind of sink, for errors.
        key: the common beginning of the two keys: ``password`` for ``password_file`` and ``password_env``.

    Raises:
        ConfigError: it cannot be read; the message never shows it.
    """
    if file is not None:
        where = f"{sink}: {key}_file {file}"
        try:
            # Lest a pipe without a writer block.
            with open(file, "rb", opener=_open_at_once) as opened:
                raw = opened.read(SECRET_MAX_BYTES + 1) or b""
        except (OSError, ValueError) as error:
            raise ConfigError(f"{where}: {getattr(error, 'strerror', None) or error}") from None
    elif variable is not None:
        where = f"{sink}: {key}_env {variable}"
        raw = os.fsencode(environ.get(variable, ""))
    else:
        return None
    if len(raw) > SECRET_MAX_BYTES:
        raise ConfigError(f"{where}: longer than {SECRET_MAX_BYTES} bytes; too long for a secret")
    if not (secret := raw.strip()):
        raise ConfigError(f"{where}: is empty")
    return secret


def _open_at_once(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)
