"""Tables and pictures of a study; never imports torch."""
