"""Read and write prediction files in every supported format."""
