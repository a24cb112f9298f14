"""The TensorFlow part of training: a model, its optimiser, one step."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from kwsd.errors import ModelError
from kwsd_train import networks
from kwsd_train.batches.examples import Batch
from kwsd_train.training import distribute

_CLIP_NORM = 5.0


class Trainer:
    """A model in training.

    Args:
        settings: resolved flags; ``model_architecture`` and ``seed`` are used.
        shape: (frames, width) of a clip's features.
        labels: number of labels.
        average_decay: decay of the moving average of the weights, which is used for prediction; 0 for none.
        spoken: number of words of an auxiliary last layer, more than there are labels, so that the features before it
            carry more than the labels need; 0 for none. `tested_model` does not have it.
        spoken_weight: weight of its loss relative to that of the labels.
        donor_share: share of the weights given to `lean_on` in those that are used for prediction.
        strategy: the tf.distribute.Strategy whose replicas share each batch; None for one replica.
    """

    def __init__(
        self,
        settings: Mapping[str, Any],
        shape: Sequence[int],
        labels: int,
        *,
        optimizer: str = "gradient_descent",
        weight_decay: float = 0.0,
        label_smoothing: float = 0.0,
        average_decay: float = 0.0,
        spoken: int = 0,
        spoken_weight: float = 0.0,
        donor_share: float = 0.0,
        strategy: Any = None,
    ) -> None:
        tf.config.experimental.enable_op_determinism()
        keras.utils.set_random_seed(settings["seed"])
        self.labels = labels
        self._strategy = strategy or tf.distribute.get_strategy()
        self._replicas = self._strategy.num_replicas_in_sync
        with self._strategy.scope():
            self.model = networks.build(settings["model_architecture"], shape[0], shape[1], labels)
            self._second = None
            if spoken and spoken_weight:
                embedding = networks.embedding(self.model)
                self._second = keras.Model(self.model.inputs, keras.layers.Dense(spoken)(embedding))
                self._whole = keras.Model(self.model.inputs, [self.model.output, self._second.output])
            self._learnt = [*self.model.trainable_variables, *self._second_variables()]
            self._optimizer = _optimizer(optimizer, weight_decay, _CLIP_NORM / self._replicas)
            self._optimizer.build(self._learnt)
            self._averages = [tf.Variable(weight) for weight in self.model.trainable_variables] if average_decay else []
        self._smoothing = label_smoothing
        self._decay = average_decay
        self._spoken_weight = spoken_weight
        self._donor_share = donor_share
        self._donor: list[NDArray[Any]] = []
        self._step = tf.function(self._shared_step)

    def step(self, batch: Batch, rate: float, step: int) -> tuple[float, float]:
        """One update. Returns accuracy (0..1) and mean cross entropy of the batch, under dropout.

        KwsdError if another worker has gone.
        """
        decay = min(self._decay, (1 + step) / (10 + step))
        parts = distribute.share(self._strategy, *batch)
        try:
            accuracy, loss = self._step(*parts, tf.constant(rate), tf.constant(decay))
            return float(accuracy), float(loss)
        except (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.CancelledError) as error:
            raise distribute.WorkerGoneError from error

    def predict(self, features: NDArray[np.float32], batch_size: int = 500) -> NDArray[np.int64]:
        """The most likely label of each clip, (n,), by the weights that `tested_model` has."""
        held = self.variables()
        _set_tested(self.model, held, self._donor_share)
        parts = [
            np.argmax(self.model(features[at : at + batch_size], training=False), axis=1)
            for at in range(0, len(features), batch_size)
        ]
        for variable, array in zip(self.model.variables, held["model"], strict=True):
            if variable.trainable or self._donor:  # the others are as they were
                variable.assign(array)
        return np.concatenate(parts) if parts else np.zeros(0, np.int64)

    def variables(self) -> dict[str, list[NDArray[Any]]]:
        """All variables, by group: the model (with batch norm and state of dropout), the optimiser, the averages, the
        donor's weights.
        """
        return {
            "model": [np.asarray(variable) for variable in self.model.variables],
            "optimizer": [np.asarray(variable) for variable in self._optimizer.variables],
            "average": [np.asarray(variable) for variable in self._averages],
            "second": [np.asarray(variable) for variable in self._second_variables()],
            "donor": list(self._donor),
        }

    def restore(self, variables: Mapping[str, Sequence[NDArray[Any]]]) -> None:
        """Set all variables. ModelError if they belong to another network, optimiser or kind of average."""
        groups = {
            "model": self.model.variables,
            "optimizer": self._optimizer.variables,
            "average": self._averages,
            "second": self._second_variables(),
        }
        for name, own in groups.items():
            stored = variables.get(name, [])
            if [tuple(variable.shape) for variable in own] != [array.shape for array in stored]:
                raise ModelError("--start_checkpoint", f"its {name} variables have other shapes", "Use the same flags.")
            _assign(own, stored)
        self._donor = list(variables.get("donor", []))

    def _second_variables(self) -> list[Any]:
        return list(self._second.layers[-1].variables) if self._second is not None else []

    def lean_on(self, donor: Sequence[NDArray[Any]]) -> None:
        """Start the averages at the current weights, and use ``donor_share`` of ``donor``, weights of the model, for
        prediction.
        """
        if self._averages:
            _assign(self._averages, self.model.trainable_variables)
        self._donor = list(donor)

    def _shared_step(self, features: Any, targets: Any, spoken: Any, rate: Any, decay: Any) -> tuple[Any, ...]:
        self._optimizer.learning_rate.assign(rate)
        told = self._strategy.run(self._train_step, (features, targets, spoken))
        for average, weight in zip(self._averages, self.model.trainable_variables, strict=False):
            average.assign(average * decay + weight * (1 - decay))
        return tuple(self._strategy.reduce(tf.distribute.ReduceOp.MEAN, number, None) for number in told)

    def _train_step(self, features: Any, targets: Any, spoken: Any) -> tuple[Any, Any]:
        smoothed = targets * (1 - self._smoothing) + self._smoothing / self.labels
        with tf.GradientTape() as tape:
            if self._second is None:
                logits, told = self.model(features, training=True), None
            else:
                logits, told = self._whole(features, training=True)
            loss = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(smoothed, logits))
            total = loss if told is None else loss + self._spoken_weight * _named_loss(spoken, told)
        gradients = tape.gradient(total, self._learnt)
        if self._replicas > 1:  # all clip the mean of their gradients, then Keras adds up the updates
            mean = tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.MEAN, gradients)
            gradients = [gradient / self._replicas for gradient in mean]
        self._optimizer.apply_gradients(zip(gradients, self._learnt, strict=True))
        right = tf.equal(tf.argmax(logits, 1), tf.argmax(targets, 1))
        return tf.reduce_mean(tf.cast(right, tf.float32)), loss


def _named_loss(spoken: Any, logits: Any) -> Any:
    """Cross entropy of the spoken words (batch,); unlabelled ones (below 0) add nothing to the mean."""
    known = tf.cast(spoken >= 0, tf.float32)
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(tf.maximum(spoken, 0), logits)
    return tf.reduce_mean(losses * known)


def tested_model(
    settings: Mapping[str, Any],
    shape: Sequence[int],
    labels: int,
    variables: Mapping[str, Any],
    donor_share: float = 0.0,
) -> Any:
    """The keras.Model of a checkpoint as it was tested: with the averaged weights if it has them, and ``donor_share``
    of the donor's.
    """
    model = networks.build(settings["model_architecture"], shape[0], shape[1], labels)
    if [tuple(variable.shape) for variable in model.variables] != [array.shape for array in variables["model"]]:
        raise ModelError(
            "--start_checkpoint", "its variables have other shapes than the network", "Use the same flags."
        )
    _assign(model.variables, variables["model"])
    _set_tested(model, variables, donor_share)
    return model


def _set_tested(model: Any, variables: Mapping[str, Any], donor_share: float) -> None:
    """Weights between the averages and the donor's (Wortsman et al., arXiv 2109.01903); NaN is none of the donor's."""
    if variables.get("average"):
        _assign(model.trainable_variables, variables["average"])
    if variables.get("donor") and donor_share:
        for variable, given in zip(model.variables, variables["donor"], strict=True):
            own = np.asarray(variable)
            if np.issubdtype(own.dtype, np.floating):  # not the state of dropout
                variable.assign(np.where(np.isnan(given), own, (1 - donor_share) * own + donor_share * given))


def _assign(variables: Sequence[Any], arrays: Sequence[Any]) -> None:
    for variable, array in zip(variables, arrays, strict=True):
        variable.assign(array)


def _optimizer(name: str, weight_decay: float, clip_norm: float) -> Any:
    if name == "adam":
        return keras.optimizers.AdamW(1e-3, weight_decay=weight_decay, clipnorm=None, global_clipnorm=clip_norm)
    momentum = 0.9 if name == "momentum" else 0.0
    return keras.optimizers.SGD(1e-3, momentum=momentum, nesterov=bool(momentum))
