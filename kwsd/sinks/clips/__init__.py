"""Clips: keeps the audio around each event in a folder of words."""
