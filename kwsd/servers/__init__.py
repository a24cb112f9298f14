"""What answers over a network, each off until the configuration asks for it."""
