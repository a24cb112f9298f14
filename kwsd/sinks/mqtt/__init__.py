"""Events, state and control through an MQTT broker, with discovery by Home Assistant."""
