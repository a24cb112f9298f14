"""The extra `train`: the error if one of its packages is missing."""

from kwsd.errors import UnavailableError

_PACKAGES = {"tensorflow": "TensorFlow", "keras": "TensorFlow", "matplotlib": "matplotlib", "optuna": "Optuna"}


def missing(error: Exception) -> UnavailableError | None:
    """A readable error if ``error`` means that a package of the extra is not installed, else None."""
    name = str(error.name).partition(".")[0] if isinstance(error, ModuleNotFoundError) else ""
    if name not in _PACKAGES:
        return None
    return UnavailableError(_PACKAGES[name], "it is not installed", "Install it: pip install 'kwsd[train]'")
