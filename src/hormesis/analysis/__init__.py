"""From outcomes to responses, scores and classes; never imports torch."""
