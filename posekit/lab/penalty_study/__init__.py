"""Where and how strongly a loss penalises predictions, over a whole data set."""
