"""What is measured: Kitsune, the floors below it, and its peers, each behind the same few methods."""
