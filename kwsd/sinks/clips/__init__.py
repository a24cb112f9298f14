"""Clips: the audio around each event is kept in a folder of words."""
