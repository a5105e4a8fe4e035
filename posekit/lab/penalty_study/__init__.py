"""Study of where in the heatmaps anchor loss penalises a model, over a whole data set."""
