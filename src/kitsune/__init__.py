"""Kitsune runs a plan on every server of a fleet and undoes it when it goes wrong."""
