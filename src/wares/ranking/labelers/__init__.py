"""Labelers: one file each, listed in `registry`."""
