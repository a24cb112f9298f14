"""Words learned on the spot: takes in, a model of the old words and the new one out. numpy and the runtime alone."""
