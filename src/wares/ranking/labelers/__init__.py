"""Labelers: one file for each, listed by `registry`."""
