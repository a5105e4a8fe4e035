"""Interactive page that shows the penalty map of one person."""
