"""The measurement: every cell on every sample."""
