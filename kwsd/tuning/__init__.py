"""Thresholds for a room, from what kwsd heard there while nobody meant a word."""
