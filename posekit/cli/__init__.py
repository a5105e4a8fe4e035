"""Commands, each a package whose `__init__` holds its options and imports nothing heavy."""
