"""Person finder: predicts heatmaps of the centres of people in whole images."""
