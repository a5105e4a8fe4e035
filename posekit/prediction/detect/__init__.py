"""Person detectors, which find the bounding boxes of people in an image."""
