"""What pages show, as pure functions of what is known of a rollout, a server, a fleet or a plan."""
