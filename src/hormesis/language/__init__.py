"""Language models: loaded from folders, texts as data, attacks on the embeddings of tokens."""
