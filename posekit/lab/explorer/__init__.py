"""Interactive page that shows how anchor loss penalises one person's heatmaps."""
