"""Image classification with the paper's losses (section 4.1)."""
