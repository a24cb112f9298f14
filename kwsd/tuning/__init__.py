"""Thresholds that fit a room, from what kwsd heard there in a time in which nobody meant a word."""
