"""Crops of annotated people packed into one file."""
