"""A whole Kitsune on this machine: Temporal and workers as child processes."""
