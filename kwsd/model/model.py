"""Models: a .tflite file and its description in, scores out.

A file is checked before a runtime sees it (graph.py, metadata.py); then it is loaded and invoked once on silence. So
every Model has run once.
"""

import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kwsd.errors import KwsdError, ModelError
from kwsd.frontend import create
from kwsd.model import runtime
from kwsd.model.catalogue import JOINT, bundled, find, is_bundled, parts, read_file
from kwsd.model.description import Description, Labels, describe
from kwsd.model.tensors import INTEGERS, feeder, fit, reader
from kwsd.model.tflite.flatbuffer import MalformedError
from kwsd.model.tflite.graph import Graph, Tensor, read
from kwsd.validation.kinds import SPECIAL_LABELS

if TYPE_CHECKING:
    from kwsd.model.along import ClipsOfRows

__all__ = ["Model", "bundled_names", "load"]

Floats = NDArray[np.float32]

PROPOSED = 0.1
"""The score of a word from which on the verifier is asked. Of clips without a word, few have such a score."""


def bundled_names() -> tuple[str, ...]:
    """Names of the models bundled with kwsd, sorted; each is accepted wherever a model is."""
    return tuple(bundled())


def load(
    path_or_name: str | Path,
    labels: Labels | None = None,
    frontend: Description | None = None,
    backend: str | None = None,
    *,
    keep: "Model | None" = None,
) -> "Model":
    """Load a model, ready to score.

    Args:
        path_or_name: a bundled model's name, or a .tflite file; or two of them joined by ``+``, such as
            ``default+accurate``: the second, with metadata of its own, verifies what the first proposes
            (`Model.scores`).
        labels: for a model without metadata: a file with one label per line, or the labels.
        frontend: for a model without metadata: a YAML file with ``frontend``, ``sample_rate_hz``, ``clip_ms`` and
            ``scores``, or that mapping. Without it the file ``MODEL.kwsd.yaml`` beside the model is read.
        backend: ``litert`` or ``tflite-runtime``; by default ``$KWSD_BACKEND``, else the first that works.
        keep: a model loaded earlier, which is returned if file, description and backend are still the same.

    Raises:
        ModelError: the file or its description is rejected; the message says which and why.
        ConfigError: the YAML file cannot be read, or the backend has an unknown name.
        UnavailableError: no runtime works on this machine.
    """
    backend = runtime.choose(backend)
    first, second = parts(str(path_or_name))
    verifier = None if second is None else load(second, backend=backend, keep=keep and keep.verifier)
    path = find(first, backend)
    data = read_file(path)
    try:
        graph = read(data)
    except MalformedError as error:
        raise ModelError(str(path), str(error)) from error
    metadata = describe(path, graph.metadata, labels, frontend)
    if keep is not None and keep.verifier is verifier and keep.is_of(path, data, metadata, backend):
        return keep
    return Model(path, data, graph, metadata, backend, verifier)


class Model:
    """A network with its front end's definition and its labels. One thread at a time may use it.

    Attributes:
        name, labels, sample_rate_hz, clip_ms: as in the metadata.
        clip_samples: samples of one clip.
        frontend: the argument of ``kwsd.frontend.create``, including ``sample_rate_hz``.
        recognize: the model's settings of the recogniser; may be empty.
        metadata: the complete metadata.
        backend: the runtime, ``litert`` or ``tflite-runtime``.
        path, sha256: the file, and the hash of its content in hexadecimal.
        graph: the content of the file.
        verifier: the model that verifies this one's scores; None for none.
    """

    def __init__(
        self,
        path: Path,
        data: bytes,
        graph: Graph,
        metadata: dict[str, Any],
        backend: str,
        verifier: "Model | None" = None,
    ) -> None:
        self.path, self.graph, self.metadata, self.backend = path, graph, metadata, backend
        self.sha256 = _sha256(data)
        self.name: str = metadata["name"]
        self.labels: tuple[str, ...] = tuple(metadata["labels"])
        self.sample_rate_hz: int = metadata["sample_rate_hz"]
        self.clip_ms: int = metadata["clip_ms"]
        self.clip_samples = self.sample_rate_hz * self.clip_ms // 1000
        self.frontend: Mapping[str, Any] = {"sample_rate_hz": self.sample_rate_hz, **metadata["frontend"]}
        self.recognize: Mapping[str, Any] = metadata.get("recognize", {})
        self.bytes = len(data)
        self._frontend = create(self.frontend)
        if self._frontend.frames(self.clip_samples) < 1:
            raise self._refuse(f"its clip of {self.clip_ms} ms is shorter than a window of its front end")
        silence = self.features(np.zeros(self.clip_samples, np.float32))
        shape = self._input_shape(silence.shape)
        # Both runtimes crash on some broken files, hang on loops, and allocate whatever memory an operator requests.
        risky = not is_bundled(path, self.sha256)
        self._interpreter = runtime.start(backend, data, shape, self.sample_rate_hz, str(path), risky=risky)
        clip, *rate = self._interpreter.get_input_details()
        for detail in rate:
            rate_hz = np.full(detail["shape"], self.sample_rate_hz, detail["dtype"])
            self._interpreter.set_tensor(detail["index"], rate_hz)
        self._feed = feeder(self._interpreter, clip)
        self._invoke = self._interpreter.invoke
        self._read = reader(self._interpreter, self._output(), logits=metadata["scores"] == "logits")
        self._words = [at for at, label in enumerate(self.labels) if label not in SPECIAL_LABELS]
        self.verifier = None
        self._try(silence)
        self._read_embedding = self._embedding_reader()
        self.verifier = verifier
        if verifier is not None:
            self._check_verifier(verifier)

    def is_of(self, path: Path, data: bytes, metadata: Mapping[str, Any], backend: str) -> bool:
        """Whether these would give the same model."""
        mine, other = (self.path, self.metadata, self.backend), (path, metadata, backend)
        return mine == other and self.sha256 == _sha256(data)

    @property
    def fingerprint(self) -> str:
        """``sha256``, and the verifier's after a ``+``: what scores depend on."""
        return self.sha256 if self.verifier is None else f"{self.sha256}{JOINT}{self.verifier.fingerprint}"

    def features(self, clip: Floats) -> Floats:
        """The argument of ``scores``, from the samples of one clip in -1..1, shape (clip_samples,)."""
        return self._frontend.compute(clip)

    def scores(self, features: Floats) -> Floats:
        """The probability of each label for one clip, shape (labels,), float32, as a new array.

        If a word's is at least `PROPOSED`, and there is a verifier, it gets to see the clip too, and the result is the
        geometric mean of both models' scores, scaled to add up to 1 (a logarithmic opinion pool). The other clips
        cost nothing more.

        Args:
            features: float32, the front end's rows of a clip, shape (frames, width); for a model that takes samples,
                the clip in -1..1, shape (clip_samples,).

        Raises:
            KwsdError: the scores are not finite.
        """
        self._feed(features)
        self._invoke()
        scores = self._read()
        if not math.isfinite(scores.dot(scores)):
            raise KwsdError(str(self.path), "its scores are not finite")
        return scores if self.verifier is None else self._verified(scores, features)

    def _verified(self, scores: Floats, features: Floats) -> Floats:
        if self.verifier is None or not self._words or scores[self._words].max() < PROPOSED:
            return scores
        both: Floats = np.sqrt(np.maximum(scores * self.verifier.scores(features), 0))
        both /= max(float(both.sum()), 1e-30)  # 0 if they agree on nothing
        return both

    def clips_of_rows(self) -> "ClipsOfRows":
        """Returns an object for the `scores` of many clips in the same rows."""
        from kwsd.model.along import ClipsOfRows

        clip, output = self._interpreter.get_input_details()[0], self._output()
        logits = self.metadata["scores"] == "logits"
        verify = None if self.verifier is None else self._verified
        return ClipsOfRows(str(self.path), self._interpreter, clip, output, logits=logits, verify=verify)

    def embedding(self, features: Floats) -> Floats:
        """The features before the last layer for one clip, shape (n,), float32, as a new array.

        Args:
            features: as for ``scores``.

        Raises:
            ModelError: the model has no such output.
        """
        if self._read_embedding is None:
            raise self._refuse("it has no embedding, the features before its last layer")
        self._feed(features)
        self._invoke()
        return self._read_embedding()

    def invoke_us(self, runs: int = 50) -> float:
        """Median time of one run of the network alone, in microseconds, on the last clip."""
        times = []
        for _ in range(runs):
            begun_ns = time.perf_counter_ns()
            self._invoke()
            times.append(time.perf_counter_ns() - begun_ns)
        return float(np.median(times)) / 1000

    def details(self) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """Inputs and outputs at run time: name, shape, type, and scale and zero_point if quantised."""
        inputs, outputs = self._interpreter.get_input_details(), self._interpreter.get_output_details()
        return [_detail(detail) for detail in inputs], [_detail(detail) for detail in outputs]

    def shapes(self) -> dict[int, tuple[int, ...]]:
        """Shapes of the graph's tensors by index, once the clip's size is known."""
        details = self._interpreter.get_tensor_details()
        return {detail["index"]: tuple(detail["shape"].tolist()) for detail in details}

    def _refuse(self, why: str) -> ModelError:
        return ModelError(str(self.path), why)

    def _input_shape(self, clip_shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of the input that takes the clip, known before a runtime is asked."""
        inputs = self.graph.inputs
        outputs, embedding = self.graph.outputs, self.metadata.get("embedding")
        if not inputs or not outputs:
            raise self._refuse(f"it has {len(inputs)} inputs and {len(outputs)} outputs")
        if embedding is not None and [output.name for output in outputs].count(embedding) != 1:
            raise self._refuse(f"its metadata's 'embedding': no output has the name {embedding!r}")
        clip, *others = inputs
        waveform = self.frontend["type"] == "waveform"
        if others and not (waveform and len(others) == 1 and others[0].type == "int32" and others[0].elements == 1):
            wanted = "the clip and, as int32, its rate" if waveform else "the clip's rows alone"
            raise self._refuse(f"it has the inputs {', '.join(map(_words, inputs))}; a front end gives {wanted}")
        if clip.type != "float32" and not (clip.type in INTEGERS and clip.scales and clip.scales[0] > 0):
            raise self._refuse(f"its input {_words(clip)} is neither float32 nor a quantised integer with its scale")
        shape = fit(clip, clip_shape)
        if shape is None:
            size = " x ".join(map(str, clip_shape))
            what = "samples" if waveform else f"values of the front end {self.frontend['type']}"
            raise self._refuse(f"its input {_words(clip)} does not take a clip of {size} {what}")
        return shape

    def _output(self) -> dict[str, Any]:
        """The interpreter's output that can be the scores of the labels; no other may have as many values."""
        embedding = self.metadata.get("embedding")
        outputs = [output for output in self._interpreter.get_output_details() if output["name"] != embedding]
        fitting = [output for output in outputs if math.prod(output["shape"]) == len(self.labels)]
        if len(fitting) != 1:
            sizes = " and ".join(f"{output['shape'].tolist()}" for output in outputs)
            gives = " and ".join(str(math.prod(output["shape"])) for output in outputs)
            raise self._refuse(f"its output {sizes} gives {gives} scores for {len(self.labels)} labels")
        detail: dict[str, Any] = fitting[0]
        kind = np.dtype(detail["dtype"]).name
        if kind != "float32" and not (kind in INTEGERS and detail["quantization"][0] > 0):
            raise self._refuse(f"its output of type {kind} is neither float32 nor a quantised integer with its scale")
        return detail

    def _check_verifier(self, verifier: "Model") -> None:
        """Both must get the same features, and give scores of the same labels."""
        mine, its = (
            {"front end": dict(model.frontend), "clip length": model.clip_ms, "labels (or their order)": model.labels}
            for model in (self, verifier)
        )
        other = [what for what in mine if mine[what] != its[what]]
        if other:
            raise self._refuse(f"{verifier.path} cannot verify it: they differ in {' and '.join(other)}")

    def _embedding_reader(self) -> Callable[[], Floats] | None:
        for detail in self._interpreter.get_output_details():
            if detail["name"] == self.metadata.get("embedding"):
                return reader(self._interpreter, detail, logits=False)
        return None

    def _try(self, clip: Floats) -> None:
        """Runs one clip: the runtime must not fail, and the scores must be valid."""
        try:
            with runtime.quiet_stderr():
                scores = self.scores(clip)
        except runtime.REFUSALS as error:
            raise runtime.refused(str(self.path), self.backend, error) from error
        except KwsdError as error:
            raise self._refuse("its scores of silence are not finite") from error
        low, high = float(scores.min()), float(scores.max())
        if self.metadata["scores"] == "probabilities" and not -0.01 <= low <= high <= 1.01:
            raise self._refuse(f"its scores go from {low:.3g} to {high:.3g}, so they are not probabilities (logits?)")


def _sha256(data: bytes) -> str:
    import hashlib

    return hashlib.sha256(data).hexdigest()


def _words(tensor: Tensor) -> str:
    return f"{list(tensor.shape)} {tensor.type}"


def _detail(detail: Mapping[str, Any]) -> dict[str, Any]:
    shown = {
        "name": detail["name"],
        "shape": detail["shape"].tolist(),
        "type": np.dtype(detail["dtype"]).name,
    }
    scale, zero_point = detail["quantization"]
    if scale:
        shown.update(scale=float(np.float32(scale)), zero_point=int(zero_point))
    return shown
