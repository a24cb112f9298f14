"""A network stream as a Source, through the ``ffmpeg`` program."""
