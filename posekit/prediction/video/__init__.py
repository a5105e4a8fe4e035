"""Videos: reading, writing, tracking and smoothing."""
