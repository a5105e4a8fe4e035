"""Packs: HDF5 files with the crops and annotations of people."""
