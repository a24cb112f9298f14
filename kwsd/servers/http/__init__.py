"""One HTTP server: the live page, metrics for Prometheus, and health."""
