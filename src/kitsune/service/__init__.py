"""What needs a Temporal client: the connection, and the facade over rollouts."""
