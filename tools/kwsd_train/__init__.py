"""kwsd-train: TensorFlow's speech_commands tools again, for models that kwsd runs."""

import os

# before TensorFlow is imported anywhere: its notes on the processor are no news to the reader of a training log
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
