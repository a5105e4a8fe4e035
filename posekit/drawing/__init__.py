"""Draw images and figures: skeletons, labels, heatmaps, penalty maps, curves and bars."""
