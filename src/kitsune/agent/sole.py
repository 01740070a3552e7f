"""One local worker per server id on a host, whatever state folders they use: two would share out the steps of one server."""

import contextlib
import hashlib
import socket
from collections.abc import Iterator

from kitsune.errors import ServerIdTaken


@contextlib.contextmanager
def hold_server_id(server_id: str, *, temporal: str) -> Iterator[None]:
    """Be the only one on this host that serves a server id, until the block ends.

    An abstract socket is the lock: its name is gone with the process, however that dies, and leaves no file.

    Args:
        server_id: The server.
        temporal: Which Temporal, as address and namespace: another one may have a server of the same name.

    Raises:
        ServerIdTaken: Another process has it.
    """
    name = hashlib.sha256(f"{temporal}\0{server_id}".encode()).hexdigest()[:40]
    with socket.socket(socket.AF_UNIX) as lock:
        try:
            lock.bind(f"\0kitsune/local-worker/{name}")
        except OSError as error:
            raise ServerIdTaken(
                f"another local worker on this host serves {server_id!r} at {temporal} already, with another "
                "state folder: stop it, or give this server an id of its own"
            ) from error
        yield
