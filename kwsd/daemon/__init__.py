"""What runs: the main thread and what it owns, supervises, reloads and ends."""
