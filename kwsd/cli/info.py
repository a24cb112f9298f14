"""``kwsd info``: lists the bundled models, or describes one model."""

import argparse
import dataclasses
import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kwsd.model import Model

HELP = "Lists the bundled models and their words, or describes one. Times are in microseconds."
EXAMPLE = "kwsd info default --json"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from kwsd.cli.options import FRONTEND_HELP, LABELS_HELP, MODEL

    parser.add_argument("model", nargs="?", metavar="MODEL", help=MODEL)
    parser.add_argument("--labels", metavar="FILE", help=LABELS_HELP)
    parser.add_argument("--frontend", metavar="FILE", help=FRONTEND_HELP)
    parser.add_argument("--json", action="store_true", help="print one JSON object; without MODEL, a list of them")


def run(args: argparse.Namespace) -> int:
    import json

    from kwsd.errors import UsageError
    from kwsd.events import encode

    if args.model is None:
        if args.labels or args.frontend:
            raise UsageError("--labels, --frontend", "they describe a model, and none is named", "Name MODEL.")
        found = bundled_models()
        if args.json:
            print(json.dumps(found, ensure_ascii=False))
        for entry in found if not args.json else ():
            print(f"{entry['name']:20} {entry['bytes']:>9,} bytes  {' '.join(entry['labels'])}")
        return 0

    from kwsd.model import load

    model = load(args.model, args.labels, args.frontend)
    facts = describe(model)
    print(encode(facts) if args.json else "\n".join(lines(model, facts)))
    return 0


def bundled_models() -> list[dict[str, Any]]:
    """Each bundled model by its name, described from its file alone, without a runtime."""
    from kwsd.model.catalogue import bundled, read_file
    from kwsd.model.description import describe
    from kwsd.model.tflite.graph import read

    models = []
    for name, path in bundled().items():
        data = read_file(path)
        metadata = describe(path, read(data).metadata)
        models.append({"name": name, "bytes": len(data), "labels": metadata["labels"], "metadata": metadata})
    return models


def describe(model: "Model") -> dict[str, Any]:
    """The output of ``--json``."""
    from kwsd.model.tflite import cost

    shapes = model.shapes()
    tensors = (dataclasses.replace(t, shape=shapes.get(i, t.shape)) for i, t in enumerate(model.graph.tensors))
    graph = dataclasses.replace(model.graph, tensors=tuple(tensors))
    inputs, outputs = model.details()
    verifier = model.verifier
    return {
        "metadata": model.metadata,
        "inputs": inputs,
        "outputs": outputs,
        "bytes": model.bytes,
        "sha256": model.sha256,
        "parameters": cost.parameters(graph),
        "multiply_adds": cost.multiply_adds(graph),
        "invoke_us": round(model.invoke_us(), 1),
        **({} if verifier is None else {"verifier": {"path": str(verifier.path), "sha256": verifier.sha256}}),
    }


def lines(model: "Model", facts: dict[str, Any]) -> list[str]:
    """The same in readable form."""
    metadata = model.metadata
    frontend = ", ".join(f"{key} {value}" for key, value in metadata["frontend"].items() if key != "type")
    recognize = ", ".join(f"{key} {value}" for key, value in model.recognize.items()) or "kwsd's defaults"
    training = metadata.get("training", {})
    return [
        f"name           {model.name} {metadata.get('version', '')}".rstrip(),
        f"file           {model.path}, {model.bytes:,} bytes",
        f"sha256         {model.sha256}",
        *([f"verified by    {model.verifier.path}"] if model.verifier is not None else []),
        f"labels         {' '.join(model.labels)}",
        f"clip           {model.clip_ms} ms at {model.sample_rate_hz} Hz",
        f"front end      {metadata['frontend']['type']}{frontend and ': ' + frontend}",
        *(f"input          {_tensor(tensor)}" for tensor in facts["inputs"]),
        *(f"output         {_tensor(tensor)}{_meaning(tensor, metadata)}" for tensor in facts["outputs"]),
        f"parameters     {facts['parameters']:,}",
        f"multiply-adds  {facts['multiply_adds']:,} a clip",
        f"invoke         {facts['invoke_us']} us on {model.backend}, one thread",
        f"recognize      {recognize}",
        *(f"{key:14} {value}" for key, value in training.items()),
        *([f"licence        {metadata['licence']}"] if "licence" in metadata else []),
    ]


def _meaning(output: dict[str, Any], metadata: dict[str, Any]) -> str:
    if output["name"] == metadata.get("embedding"):
        return ", embedding"
    scores = math.prod(output["shape"]) == len(metadata["labels"])
    return f", {metadata['scores']}" if scores else ""


def _tensor(tensor: dict[str, Any]) -> str:
    quantised = f", scale {tensor['scale']:g}, zero point {tensor['zero_point']}" if "scale" in tensor else ""
    return f"{tensor['name']} {tensor['shape']} {tensor['type']}{quantised}"
