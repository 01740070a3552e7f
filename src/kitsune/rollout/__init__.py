"""Pure decisions: who comes next, when to stop, what the whole amounts to."""
