"""Checks of annotation files and their images."""
