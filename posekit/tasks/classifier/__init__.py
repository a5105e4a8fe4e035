"""Image classification under the paper's losses (section 4.1 of the paper)."""
