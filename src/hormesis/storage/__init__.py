"""The study on disk: a plain folder that grows shard by shard and is never half-written.

Nothing here is pickled, and nothing needs torch.
"""
