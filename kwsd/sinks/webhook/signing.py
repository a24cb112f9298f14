"""The signature of Standard Webhooks (https://www.standardwebhooks.com), and the secret that makes it."""

import base64
import binascii
import hashlib
import hmac
import os
from collections.abc import Mapping

from kwsd.errors import ConfigError

SECRET_MAX_BYTES = 4096


def read_key(secret_file: str | None, secret_env: str | None, environ: Mapping[str, str]) -> bytes | None:
    """The signing key, or None where no secret is configured. Raises ConfigError; its message never shows a secret."""
    if secret_file is not None:
        where = f"secret_file {secret_file}"
        try:
            # Not to wait for whoever would write into a pipe.
            with open(secret_file, "rb", opener=_open_at_once) as file:
                raw = file.read(SECRET_MAX_BYTES + 1) or b""
        except (OSError, ValueError) as error:
            raise ConfigError(f"webhook: {where}: {getattr(error, 'strerror', None) or error}") from None
    elif secret_env is not None:
        where = f"secret_env {secret_env}"
        raw = os.fsencode(environ.get(secret_env, ""))
    else:
        return None
    if len(raw) > SECRET_MAX_BYTES:
        raise ConfigError(f"webhook: {where}: longer than {SECRET_MAX_BYTES} bytes; that is no secret")
    secret = raw.strip()
    if not secret:
        raise ConfigError(f"webhook: {where}: is empty")
    if not secret.startswith(b"whsec_"):
        return secret
    encoded = secret.removeprefix(b"whsec_")
    try:
        key = base64.b64decode(encoded + b"=" * (-len(encoded) % 4), validate=True)
    except binascii.Error:
        key = b""
    if not key:
        raise ConfigError(f"webhook: {where}: what follows whsec_ is no base64")
    return key


def _open_at_once(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)


def sign(key: bytes, event_id: str, timestamp: str, body: bytes) -> str:
    """The ``webhook-signature`` header of the Standard Webhooks specification, version 1 (HMAC-SHA256)."""
    digest = hmac.new(key, f"{event_id}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    return "v1," + base64.b64encode(digest).decode()
