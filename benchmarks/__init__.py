"""Measures Kitsune, the floors below it and its peers on one machine; see README.md here."""
