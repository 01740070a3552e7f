"""What the dashboard is told at its start, and why it may refuse to start."""

import ipaddress
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field

from kitsune.errors import DashboardRefused

DEFAULT_PORT = 7280


class Authentication(StrEnum):
    """How the dashboard learns who is asking."""

    NONE = "none"
    """Not at all: whoever reaches it may do everything. On the loopback address only."""
    LOCAL = "local"
    """A login page, and a file of users."""
    HEADER = "header"
    """A proxy in front says it in a header."""


class DashboardSettings(BaseModel):
    """Everything that can be set; the keys of the settings file, the options and the variables are made of these names."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(DEFAULT_PORT, ge=0, le=65535, description="Port; 0 takes any free one.")
    tls_certificate: Path | None = Field(
        None, description="PEM file with the certificate and its chain."
    )
    tls_key: Path | None = Field(None, description="PEM file with the certificate's key.")
    authentication: Authentication = Field(
        Authentication.NONE,
        description="`none` (loopback only), `local` (login with `users_file`) or `header` (a proxy says who it is).",
    )
    users_file: Path | None = Field(
        None, description="Users of `local`, as `kitsune dashboard user` makes it."
    )
    public_url: str | None = Field(
        None,
        description="Where people reach it through a proxy, as in `https://kitsune.example.org`.",
    )
    allowed_hosts: tuple[str, ...] = Field(
        (), description="Further host names by which it may be asked."
    )
    trusted_proxies: tuple[str, ...] = Field(
        (), description="Addresses or networks of the proxies that may say who is asking."
    )
    user_header: str = Field("X-Forwarded-User", description="Header with the user's name.")
    groups_header: str = Field(
        "X-Forwarded-Groups", description="Header with the user's groups, between commas."
    )
    operators: tuple[str, ...] = Field(
        (),
        description="With `header`: users, or groups as in `group:sre`, that may start and steer.",
    )
    approvers: tuple[str, ...] = Field(
        (), description="With `header`: users or groups that may approve as well."
    )

    metrics: bool = Field(
        False,  # noqa: FBT003 - a default
        description="Serve figures to Prometheus at `/metrics`, without a login.",
    )

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        return is_loopback(self.host)

    @property
    def has_tls(self) -> bool:
        """Whether it speaks TLS itself."""
        return self.tls_certificate is not None and self.tls_key is not None

    @property
    def is_secure(self) -> bool:
        """Whether browsers reach it by https, so that cookies may insist on it."""
        return self.has_tls or (self.public_url or "").startswith("https://")

    @property
    def hosts(self) -> frozenset[str]:
        """The names by which it may be asked, without ports."""
        public = urlsplit(self.public_url or "").hostname
        own = {"localhost", "127.0.0.1", "::1"} if self.is_loopback else set()
        given = {*self.allowed_hosts, *([public] if public else []), *own}
        if not is_wildcard(self.host):
            given.add(self.host)
        return frozenset(name.strip("[]").lower() for name in given)


def is_loopback(host: str) -> bool:
    """Return whether a host to listen on is this machine's loopback."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def is_wildcard(host: str) -> bool:
    """Return whether a host to listen on means every address."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_unspecified
    except ValueError:
        return not host


def check_settings(settings: DashboardSettings) -> DashboardSettings:
    """Return settings that are safe to start with.

    Raises:
        DashboardRefused: They are not; the text says everything that is wrong, and what would work.
    """
    problems = list(_problems(settings))
    if problems:
        raise DashboardRefused("the dashboard does not start: " + "; ".join(problems))
    return settings


def _problems(settings: DashboardSettings) -> Iterator[str]:
    if (settings.tls_certificate is None) != (settings.tls_key is None):
        yield "TLS needs both --tls-certificate and --tls-key"
    if not settings.is_loopback:
        yield from _open_problems(settings)
    if settings.authentication is Authentication.LOCAL and settings.users_file is None:
        yield "--authentication local needs --users-file"
    if settings.authentication is Authentication.HEADER and not settings.trusted_proxies:
        yield (
            "--authentication header needs --trusted-proxy, the address of the proxy that sets the header"
        )
    for proxy in settings.trusted_proxies:
        try:
            ipaddress.ip_network(proxy)
        except ValueError:
            yield f"not an address or network of a proxy: {proxy!r} (write 10.0.0.7 or 10.0.0.0/28)"
    if settings.public_url is not None:
        parts = urlsplit(settings.public_url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.path.strip("/"):
            yield f"not a public URL: {settings.public_url!r} (write https://kitsune.example.org)"


def _open_problems(settings: DashboardSettings) -> Iterator[str]:
    lacking = [
        *([] if settings.has_tls else ["--tls-certificate and --tls-key"]),
        *(
            []
            if settings.authentication is not Authentication.NONE
            else ["--authentication local or header"]
        ),
    ]
    if lacking:
        yield (
            f"{settings.host!r} can be reached from other machines, which needs {' and '.join(lacking)}; "
            "or leave out --host to listen on 127.0.0.1 only"
        )
    if is_wildcard(settings.host) and not (settings.public_url or settings.allowed_hosts):
        yield (
            f"{settings.host!r} stands for every address: say with --public-url or --allowed-host "
            "by which name browsers ask"
        )
