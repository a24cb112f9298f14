"""Where samples come from: microphone, file, standard input."""
