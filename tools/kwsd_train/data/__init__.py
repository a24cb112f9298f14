"""Sources of clips: word folders, recordings of any kind, other people's voices."""
