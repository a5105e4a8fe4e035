"""Images and figures: skeletons, heatmaps, penalty maps, curves."""
