"""What is done to a network: targets, filters and attacks."""
