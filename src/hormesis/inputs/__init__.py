"""Networks and data: what a study starts from."""
