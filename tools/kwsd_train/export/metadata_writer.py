"""Write kwsd's metadata into a .tflite file (see docs/model-format.md).

The flatbuffer is unpacked, changed and packed again with the schema of ai-edge-litert, so that the same model and
the same metadata give the same bytes, regardless of earlier metadata.
"""

import json
from collections.abc import Mapping
from typing import Any

from kwsd.model.metadata import ENTRY, validate


def write(tflite: bytes, metadata: Mapping[str, Any]) -> bytes:
    """``tflite`` with ``metadata`` as its KWSD entry, replacing an older one.

    Raises kwsd.errors.ModelError if kwsd would reject the metadata.
    """
    import flatbuffers
    import numpy as np
    from ai_edge_litert import schema_py_generated as schema

    document = json.dumps(validate(metadata, "metadata"), ensure_ascii=False, separators=(",", ":")).encode()

    class AlignedBuffer(schema.BufferT):  # type: ignore[misc]
        """A buffer whose data starts at a multiple of 16, as required by schema.fbs, not done by the generated code."""

        def __init__(self, data: Any) -> None:
            super().__init__(data=np.frombuffer(bytes(data), np.uint8))

        def Pack(self, builder: Any) -> Any:  # noqa: N802 (the generated code's name)
            count = len(self.data)
            builder.StartVector(1, count, 16)
            builder.head -= count
            builder.Bytes[builder.head : builder.head + count] = self.data.tobytes()
            data = builder.EndVector()
            schema.BufferStart(builder)
            schema.BufferAddData(builder, data)
            return schema.BufferEnd(builder)

    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(tflite, 0))
    if any(buffer.offset > 1 for buffer in model.buffers):
        raise ValueError("the model keeps its weights outside the flatbuffer; kwsd's models are too small for that")
    entries = [entry for entry in model.metadata or [] if entry.name != ENTRY.encode()]
    old = [entry.buffer for entry in model.metadata or [] if entry.name == ENTRY.encode()]
    if old and old == [len(model.buffers) - 1]:
        model.buffers.pop()
    elif old:
        raise ValueError("the model's KWSD entry was not written by this tool: its buffer is not the last one")
    entry = schema.MetadataT(name=ENTRY, buffer=len(model.buffers))
    model.metadata = [*entries, entry]
    model.buffers = [AlignedBuffer(b.data) if b.data is not None and len(b.data) else b for b in model.buffers]
    model.buffers.append(AlignedBuffer(document))
    builder = flatbuffers.Builder(len(tflite) + len(document) + 1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())
