"""Events by HTTP POST, signed, retried, and kept in a spool if configured."""
