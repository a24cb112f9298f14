"""kwsd-train: TensorFlow's speech_commands tools again, for models that kwsd runs."""
