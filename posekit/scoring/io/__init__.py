"""Prediction files of every supported format, read and written."""
