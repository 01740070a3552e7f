"""Ports of this machine's loopback address."""

import errno
import socket

from kitsune.errors import EmbeddedServerError

#: Where everything local listens: nothing of it can be reached from outside.
LOOPBACK = "127.0.0.1"
HIGHEST_PORT = 65535


def free_port() -> int:
    """Return a port that nobody listens on now; somebody may take it before we do."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


def why_unusable(port: int) -> str | None:
    """Return why we could not listen on a port, in words, or None when we could."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            taken = error.errno == errno.EADDRINUSE
            return "taken by another process" if taken else f"not ours to use ({error.strerror})"
    return None


def is_served(port: int) -> bool:
    """Return whether somebody listens on a port."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((LOOPBACK, port)) == 0


def require_port(port: int, *, purpose: str, remedy: str) -> int:
    """Return the port when we could listen on it.

    Raises:
        EmbeddedServerError: We could not; the text names the port, its purpose and the remedy.
    """
    if reason := why_unusable(port):
        raise EmbeddedServerError(f"port {port}, wanted for {purpose}, is {reason}: {remedy}")
    return port
