"""The signature of Standard Webhooks (https://www.standardwebhooks.com), and its secret."""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping

from kwsd.errors import ConfigError
from kwsd.sinks.secret import read_secret


def read_key(secret_file: str | None, secret_env: str | None, environ: Mapping[str, str]) -> bytes | None:
    """The signing key, or None if no secret is configured. Raises ConfigError; its message never shows a secret."""
    secret = read_secret("webhook", "secret", secret_file, secret_env, environ)
    if secret is None or not secret.startswith(b"whsec_"):
        return secret
    encoded = secret.removeprefix(b"whsec_")
    try:
        key = base64.b64decode(encoded + b"=" * (-len(encoded) % 4), validate=True)
    except binascii.Error:
        key = b""
    if not key:
        where = f"secret_file {secret_file}" if secret_file is not None else f"secret_env {secret_env}"
        raise ConfigError(f"webhook: {where}: the part after whsec_ is not base64")
    return key


def sign(key: bytes, event_id: str, timestamp: str, body: bytes) -> str:
    """The ``webhook-signature`` header of the Standard Webhooks specification, version 1 (HMAC-SHA256)."""
    digest = hmac.new(key, f"{event_id}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    return "v1," + base64.b64encode(digest).decode()
