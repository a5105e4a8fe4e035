"""Predict poses from images and videos."""
