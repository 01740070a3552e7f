"""What needs a Temporal client or server: the connection, the fleet facade, the embedded server."""
