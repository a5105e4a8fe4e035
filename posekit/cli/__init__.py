"""Commands, one module or package each. Modules that define options import nothing slow, so that --help is fast."""
