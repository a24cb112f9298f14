"""A Wyoming wake service: clients send audio, and learn which word was in it."""
