"""What a command line says about Temporal; apart from the connection, so that it can be kept without loading the SDK."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class ConnectionOptions:
    """Where Temporal is; None leaves it to environment and profile."""

    address: str | None = None
    namespace: str | None = None
    profile: str | None = None
