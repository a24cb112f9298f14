"""kwsd's exceptions, and the exit code of each.

    KwsdError                70  a part of kwsd itself failed
     +- UsageError            2  usage error on the command line
     +- InputError           66  an input file cannot be read
     +- UnavailableError     69  the audio library, a runtime or the microphone is missing
     +- OutputError          74  standard output cannot be written
     +- ConfigError          78  the configuration is rejected
     +- ModelError           78  the model is rejected

The codes are those of BSD's sysexits.h, except 2, which is argparse's.
"""

from collections.abc import Sequence


class KwsdError(Exception):
    """An error that a user can fix, described in one line: ``WHAT: WHY. MEND``.

    Args:
        what: what failed (a file, a device, an option).
        why: what is wrong with it.
        mend: how to fix it; may be empty.
    """

    exit_code = 70

    def __init__(self, what: str, why: str, mend: str = "") -> None:
        self.what, self.why, self.mend = what, why, mend
        text = f"{what}: {why.rstrip('.')}"
        if mend:
            text += f". {mend}"
        super().__init__(" ".join(text.split()))

    @property
    def lines(self) -> Sequence[str]:
        """The lines to show, without the program's name; one, except for a configuration."""
        return (str(self),)


class UsageError(KwsdError):
    """The command line requests something that does not exist, or contradicts itself."""

    exit_code = 2


def reason(error: Exception) -> str:
    """What an error of reading a file says, without Python's ``[Errno 2]`` and the file's name."""
    if isinstance(error, UnicodeDecodeError):
        return "not UTF-8"
    return getattr(error, "strerror", None) or str(error)


class InputError(KwsdError):
    """An input file (audio) cannot be read."""

    exit_code = 66


class UnavailableError(KwsdError):
    """PortAudio, a TFLite runtime, or the microphone is missing."""

    exit_code = 69


class OutputError(KwsdError):
    """Standard output cannot be written and nothing else is served."""

    exit_code = 74


class ModelError(KwsdError):
    """The model file, or its description, is rejected."""

    exit_code = 78


class ConfigError(KwsdError):
    """The configuration is rejected.

    Args:
        faults: every fault found, one line each, ``FILE:LINE: key 'x': what and what is allowed``.
    """

    exit_code = 78

    def __init__(self, *faults: str) -> None:
        self.faults = faults
        Exception.__init__(self, "\n".join(faults))

    @property
    def lines(self) -> Sequence[str]:
        return self.faults
