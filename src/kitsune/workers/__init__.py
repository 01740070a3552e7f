"""The two workers: one orchestrates, one runs on each server."""
