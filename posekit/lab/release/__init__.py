"""Trained weights as small files with model cards."""
