"""Networks of other people's making, in small configurations with random weights."""
