"""The batches of training steps: clips are drawn, augmented, and turned into features."""
