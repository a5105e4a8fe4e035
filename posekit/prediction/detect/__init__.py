"""Person detectors: from an image to the boxes of its people."""
