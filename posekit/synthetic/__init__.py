"""Synthetic datasets: rendered people with exact annotations."""
