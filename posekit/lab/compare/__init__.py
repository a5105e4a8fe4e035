"""Comparison of several trained models over several seeds."""
