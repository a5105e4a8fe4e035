"""Scores of predictions against annotations."""
