"""Read and write videos; track people and smooth their keypoints from frame to frame."""
