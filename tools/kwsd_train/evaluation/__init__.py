"""Measuring models: on clips and streams, and the recogniser's settings."""
