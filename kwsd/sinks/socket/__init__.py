"""Subscribers on a UNIX socket."""
