"""Training loop, checkpoints, configuration and logs, shared by all tasks."""
