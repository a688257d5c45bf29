"""What was measured, read back: studies, series, comparisons, training runs; free of torch."""
