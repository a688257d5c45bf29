"""How Hypothesis searches in this suite."""

from hypothesis import settings

# No deadline: a busy machine must not fail a test that is right.
settings.register_profile("suite", deadline=None, max_examples=25)
settings.load_profile("suite")
