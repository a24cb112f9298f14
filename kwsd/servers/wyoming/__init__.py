"""A Wyoming wake service: others send audio, and are told which word was in it."""
