"""Events by HTTP POST, signed, retried, and kept in a spool where one is configured."""
