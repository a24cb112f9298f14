"""Where clips come from: folders of words, recordings of any kind, other people's voices."""
