"""kwsd-train: TensorFlow's speech_commands tools, rebuilt for models that kwsd runs."""

import os

# set before TensorFlow is imported anywhere: its notes on the processor would clutter the log
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
