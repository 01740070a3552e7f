"""Deterministic code: workflows sequence, wait and record; decisions are made in `kitsune.rollout`."""
