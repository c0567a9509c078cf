"""Pretraining methods side by side: the experiment, its results, and the report."""
