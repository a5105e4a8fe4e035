"""Training loop, checkpoints, configuration and logs, whatever the task."""
