"""What a step trains on: clips drawn, changed, and made into features."""
