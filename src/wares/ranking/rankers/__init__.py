"""Rankers: one file each, listed in `registry`."""
