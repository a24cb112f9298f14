"""Network servers, each off until the configuration enables it."""
