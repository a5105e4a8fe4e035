"""Release of trained weights as small files with model cards."""
