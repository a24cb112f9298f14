"""Events, state and control through an MQTT broker, and what Home Assistant has to be told."""
