"""Networks: built by name, loaded from checkpoints, checked and lent out in evaluation mode."""
