"""Check annotation files and their images."""
