"""Image classification with the losses of the paper (section 4.1)."""
