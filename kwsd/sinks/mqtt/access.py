"""Authentication of kwsd to a broker, and of the broker to kwsd."""

import ssl
from collections.abc import Mapping

from kwsd.errors import ConfigError
from kwsd.sinks.secret import read_secret


def password(file: str | None, variable: str | None, environ: Mapping[str, str]) -> bytes | None:
    """The password, or None. Raises ConfigError, whose message never shows it."""
    return read_secret("mqtt", "password", file, variable, environ)


def tls_context(files: Mapping[str, str] | None) -> ssl.SSLContext | None:
    """What verifies the broker's certificate and name, TLS 1.2 or later; None without TLS.

    Args:
        files: ``ca_file`` instead of the system's authorities; ``cert_file`` (and ``key_file``) for the broker.

    Raises:
        ConfigError: a file cannot be used.
    """
    if files is None:
        return None
    ca_file, cert_file, key_file = (files.get(name) for name in ("ca_file", "cert_file", "key_file"))
    try:
        context = ssl.create_default_context(cafile=ca_file)
    except OSError as error:
        raise ConfigError(f"mqtt: ca_file {ca_file}: {_why(error, 'certificate in PEM')}") from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if cert_file is not None:
        try:
            context.load_cert_chain(cert_file, key_file, password=_no_password)
        except (OSError, ValueError) as error:
            both = f"cert_file {cert_file}" + (f" and key_file {key_file}" if key_file else "")
            raise ConfigError(f"mqtt: {both}: {_why(error, 'certificate with its key, in PEM')}") from None
    return context


def _why(error: OSError | ValueError, wanted: str) -> str:
    if isinstance(error, OSError) and not isinstance(error, ssl.SSLError):
        return error.strerror or str(error)
    return f"holds no {wanted}, without a passphrase"


def _no_password() -> str:
    """Replaces OpenSSL's prompt at the terminal."""
    return ""
