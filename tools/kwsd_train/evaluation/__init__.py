"""How well a model hears: clips, streams, recognisers' settings."""
