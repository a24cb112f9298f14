"""Commands: a program is run for each event."""
