"""Thin shells: Temporal in, our own code out."""
