"""Draw images and figures: skeletons, heatmaps, penalty maps, curves."""
