"""Person finder: heatmaps of people's centres in whole images."""
