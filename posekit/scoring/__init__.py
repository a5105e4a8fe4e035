"""Evaluate predictions against annotations."""
