"""Synthetic data sets: rendered people with exact annotations."""
