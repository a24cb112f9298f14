"""The run: steps, checkpoints, teachers, several devices."""
