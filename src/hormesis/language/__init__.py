"""Language models: loaded from folders, with texts as data."""
