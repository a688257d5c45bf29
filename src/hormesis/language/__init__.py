"""Language models: what is made of texts, and attacks on the embeddings of tokens."""
