"""The loop of ``kwsd-train train``: steps, validations and checkpoints, until all is done or the user ends it."""

import argparse
import contextlib
import logging
import math
from collections.abc import Mapping
from typing import Any

from kwsd.errors import KwsdError
from kwsd_train import networks
from kwsd_train.batches import features
from kwsd_train.training import checkpoint, distribute, finetune, progress, tensorflow_import
from kwsd_train.training.interruption import EndRequests, Stopped
from kwsd_train.training.schedule import Schedule
from kwsd_train.training.summaries import Summaries

_PATIENCE_WITH_OTHERS_S = 10.0
"""How long to wait for other workers after a request to end, since they may hang."""

_log = logging.getLogger("kwsd_train")


class Loop:
    """A run of training.

    Args:
        args: flags of ``train``.
        settings: the result of flags and checkpoint.
        data: a `kwsd_train.batches.training_data.Data`.
    """

    def __init__(
        self,
        args: argparse.Namespace,
        settings: Mapping[str, Any],
        schedule: Schedule,
        data: Any,
        requests: EndRequests,
        bar: progress.Progress,
    ) -> None:
        tensorflow_import.load()
        from kwsd_train.batches.examples import Examples
        from kwsd_train.training.trainer import Trainer

        strategy = distribute.strategy(args.distribute, requests)
        distribute.check_batch(strategy, args.batch_size)
        self._args, self._settings, self._schedule, self._data = args, settings, schedule, data
        self._requests, self._bar = requests, bar
        self._is_chief = distribute.is_chief(args.distribute)
        self._with_others = args.distribute == "multi_worker"
        self._agreed = distribute.agreement(strategy) if self._with_others else bool
        self._examples = Examples(data, settings)
        self._validation = self._examples.evaluation_set("validation")
        self._trainer = Trainer(
            settings,
            features.shape(settings),
            self._examples.labels,
            optimizer=args.optimizer,
            weight_decay=args.weight_decay,
            label_smoothing=args.label_smoothing,
            average_decay=args.average_decay,
            spoken=len(data.spoken),
            spoken_weight=args.spoken_weight,
            donor_share=settings["original_share"],
            strategy=strategy,
        )
        self._done = 0

    def take(self, start: checkpoint.Checkpoint | None, donor: finetune.Donor | None) -> None:
        """Begin with the weights of a checkpoint or a trained model."""
        if start is not None:
            self._trainer.restore(start.variables)
            self._done = start.step
        elif donor is not None:
            shape = features.shape(self._settings)
            new = finetune.take_over(self._trainer.model, donor, shape, self._examples.names)
            self._trainer.lean_on(finetune.given_by(donor, self._trainer.model, self._examples.names))
            _log.info("Backbone from %s; new labels: %s", donor.weights, ", ".join(new) or "none")

    def run(self) -> float | None:
        """Train, then test. Returns the last validation's accuracy, 0..1; None without validation data.

        Raises:
            Stopped: a signal ended it; the current step is done and saved.
        """
        from kwsd_train.batches.workers import batches

        if not len(self._validation[1]):
            _log.warning("No clip falls into the validation set (--validation_percentage): nothing is validated.")
        first, validated = self._done + 1, None
        self._requests.save_first(_PATIENCE_WITH_OTHERS_S if self._with_others else None)
        _log.info("Training from step: %d ", first)
        made = batches(self._data, self._settings, first, self._schedule.total, self._args.workers)
        with contextlib.closing(Summaries(self._args.summaries_dir if self._is_chief else None)) as summaries:
            for step, batch in enumerate(made, first):
                try:
                    self._step(step, batch, summaries)
                    ends = self._agreed(self._requests.number != 0)
                except distribute.WorkerGoneError as error:
                    if not self._requests.number:
                        raise
                    told = "ended in the middle of a step, since another worker has gone"
                    raise Stopped(self._requests.number, told) from error
                if not ends and self._is_due(step, self._args.eval_step_interval) and len(self._validation[1]):
                    line = f"Step {step}: Validation accuracy = %.1f%% (N=%d)"
                    validated = self._evaluate(*self._validation, line)
                    summaries.write("validation", step, accuracy=validated)
                if self._is_chief and (ends or self._is_due(step, self._args.save_step_interval)):
                    self._save(step)
                if ends:
                    raise _ended(self._requests.number, step)
        self._test()
        return validated

    def _step(self, step: int, batch: Any, summaries: Summaries) -> None:
        rate = self._schedule.rate(step)
        accuracy, loss = self._trainer.step(batch, rate, step)
        _log.info("Step #%d: rate %f, accuracy %.1f%%, cross entropy %f", step, rate, accuracy * 100, loss)
        summaries.write("train", step, accuracy=accuracy, cross_entropy=loss)
        self._bar.step(step, self._schedule.total)
        if self._args.check_nans and not math.isfinite(loss):
            raise KwsdError(f"step {step}", "the loss is not a finite number", "Lower --learning_rate.")

    def _is_due(self, step: int, interval: int) -> bool:
        return step % interval == 0 or step == self._schedule.total

    def _save(self, step: int) -> None:
        name = networks.title(self._settings["model_architecture"])
        path = checkpoint.path_of(self._args.train_dir, name, step)
        _log.info('Saving to "%s"', path)
        checkpoint.save(path, checkpoint.Checkpoint(step, self._settings, self._trainer.variables()))

    def _test(self) -> None:
        testing, labels = self._examples.evaluation_set("testing")
        _log.info("set_size=%d", len(labels))
        if len(labels):
            self._evaluate(testing, labels, "Final test accuracy = %.1f%% (N=%d)")
        else:
            _log.warning("No clip falls into the testing set (--testing_percentage): nothing is tested.")

    def _evaluate(self, rows: Any, labels: Any, line: str) -> float:
        """Log the confusion matrix; returns the accuracy, 0..1."""
        from kwsd_train.evaluation import confusion

        counts = confusion.matrix(labels, self._trainer.predict(rows), self._trainer.labels)
        _log.info("Confusion Matrix:\n %s", confusion.as_text(counts))
        accuracy = confusion.accuracy(counts)
        _log.info(line, accuracy * 100, len(labels))
        return accuracy


def _ended(number: int, step: int) -> BaseException:
    """The exception that ends a run early, once it is saved."""
    mend = "Go on with --start_checkpoint latest."
    if number:
        return Stopped(number, f"ended after step {step}, which is saved. {mend}")
    return KwsdError("--distribute", f"another worker was asked to end, after step {step}", mend)
