"""Commands, one package each. The package's `__init__` defines the options and imports nothing slow, so that --help is fast."""
