"""Telling other systems what a rollout does: who is told, in which words, and how it is sent."""
