"""Sources of a model's description: the model itself, a file beside it, or the caller."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kwsd.errors import ModelError
from kwsd.model.metadata import ENTRY, FORMAT, Buffer, parse, validate
from kwsd.validation.yaml import load_mapping

Labels = str | Path | Sequence[str]
Description = str | Path | Mapping[str, Any]

LABELS_BYTES_MAX = 2**20


def describe(
    path: Path,
    embedded: Mapping[str, Buffer],
    labels: Labels | None = None,
    frontend: Description | None = None,
) -> dict[str, Any]:
    """The complete metadata of the model at ``path``.

    Args:
        embedded: the .tflite file's metadata entries.
        labels: a file with one label per line, or the labels; for a model without metadata.
        frontend: a YAML file with ``frontend``, ``sample_rate_hz``, ``clip_ms``, ``scores`` (and any other
            metadata), or that mapping; instead of the sidecar ``MODEL.kwsd.yaml``.

    Raises:
        ModelError: the metadata is rejected or missing, or the model has metadata and it is given too.
        ConfigError: the front end's YAML cannot be read.
    """
    source = str(path)
    if ENTRY in embedded:
        if labels is not None or frontend is not None:
            why = "it carries its own metadata, which labels and front end would contradict"
            raise ModelError(source, why, "Leave --labels and --frontend away.")
        return parse(embedded[ENTRY], source)
    if frontend is None:
        frontend = _sidecar(path)
    if frontend is None:
        why = "it carries no KWSD metadata, so its front end is not known"
        raise ModelError(source, why, f"Give --labels and --frontend, or describe it in {path}.kwsd.yaml.")
    given = dict(frontend) if isinstance(frontend, Mapping) else load_mapping(str(frontend))[0]
    if labels is not None:
        given["labels"] = _read_labels(Path(labels)) if isinstance(labels, str | Path) else list(labels)
    elif "labels" not in given:
        raise ModelError(source, "its labels are not known", "Give --labels.")
    return validate({"format": FORMAT, "name": path.stem, **given}, source)


def _sidecar(path: Path) -> Path | None:
    """``MODEL.kwsd.yaml`` beside the model, with or without its ``.tflite``; None if there is none."""
    for candidate in (path.with_name(path.name + ".kwsd.yaml"), path.with_name(path.stem + ".kwsd.yaml")):
        if candidate.exists():
            return candidate
    return None


def _read_labels(path: Path) -> list[str]:
    """One label per line, stripped of white space, as in TensorFlow's conv_labels.txt."""
    source = str(path)
    try:
        if not path.is_file() and path.exists():
            raise ModelError(source, "the labels cannot be read: this is not a regular file")
        if path.stat().st_size > LABELS_BYTES_MAX:
            raise ModelError(source, f"the labels are larger than {LABELS_BYTES_MAX >> 20} MiB")
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ModelError(source, f"the labels cannot be read: {error.strerror or error}") from error
    except ValueError as error:  # not UTF-8, or a NUL in the path
        raise ModelError(source, f"the labels cannot be read: {error}") from error
    labels = [line.strip() for line in text.rstrip().splitlines()]
    if not labels or not all(labels):
        raise ModelError(source, "an empty line among the labels" if labels else "there are no labels in it")
    return labels
