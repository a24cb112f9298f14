"""Words learned on the spot: takes in, a model of old and new words out. Needs numpy and the runtime only."""
