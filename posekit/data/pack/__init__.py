"""Packs: crops and annotation of people in one HDF5 file."""
