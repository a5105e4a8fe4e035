"""Finding people in whole images by heatmaps of their centres."""
