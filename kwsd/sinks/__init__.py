"""Where events go: standard output, a UNIX socket, webhooks."""
