"""``--labels`` as in the tutorial's command lines, also for models that contain their labels."""

from pathlib import Path

from kwsd.errors import ModelError, reason


def needed(model: str, labels: str) -> str | None:
    """The argument for `kwsd.model.load`: the file, or None if the model contains the same labels.

    Args:
        model: a bundled name or a file, or two as FIRST+VERIFIER.
        labels: a file with one label per line.

    Raises:
        ModelError: a file cannot be read, or the model has other labels.
    """
    from kwsd.model import runtime
    from kwsd.model.catalogue import find, parts, read_file
    from kwsd.model.metadata import ENTRY, parse
    from kwsd.model.tflite.flatbuffer import MalformedError
    from kwsd.model.tflite.graph import read

    path = find(parts(model)[0], runtime.choose(None))
    try:
        entries = read(read_file(path)).metadata
    except MalformedError as error:
        raise ModelError(str(path), str(error)) from error
    if ENTRY not in entries:
        return labels
    own = parse(entries[ENTRY], str(path))["labels"]
    try:
        lines = Path(labels).read_text(encoding="utf-8-sig").rstrip().splitlines()
    except (OSError, ValueError) as error:
        raise ModelError(labels, f"the labels cannot be read: {reason(error)}") from error
    if [line.strip() for line in lines] != own:
        raise ModelError(labels, f"its labels are not the model's: {', '.join(own)}", "Leave it out.")
    return None
