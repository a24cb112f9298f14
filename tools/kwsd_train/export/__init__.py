"""From a trained network to one self-describing .tflite file."""
