"""Who may do what: three roles, each of which includes the ones before it. Pure."""

import re
from dataclasses import dataclass
from enum import IntEnum

from kitsune import names


class Role(IntEnum):
    """What a person may do."""

    VIEWER = 1
    """Look at everything."""
    OPERATOR = 2
    """Start rollouts and give them orders."""
    APPROVER = 3
    """Open gates as well."""

    @property
    def word(self) -> str:
        """Its name as people write it."""
        return self.name.lower()


@dataclass(frozen=True)
class User:
    """Who is asking.

    Attributes:
        display_name: The name that is recorded as the actor of what they do.
        role: What they may do.
    """

    display_name: str
    role: Role

    @property
    def is_authenticated(self) -> bool:
        """Always true: without a login there is no user."""
        return True

    def may(self, role: Role) -> bool:
        """Return whether they have a role."""
        return self.role >= role


#: What can be read without a login: what a login page and a load balancer need.
_PUBLIC = re.compile(r"/(login|healthz|readyz|metrics|static/.+)")
#: Asked by POST, but changes nothing.
_HARMLESS = frozenset({"/api/v1/validate", "/logout", "/rollouts/new/preview"})
_ORDER = re.compile(r"(?:/api/v1)?/rollouts/[^/]+/([a-z]+)/?")
_READS = frozenset({"GET", "HEAD"})


def role_for_verb(verb: str) -> Role:
    """Return the role that an order to a rollout needs."""
    return Role.APPROVER if verb == names.APPROVE else Role.OPERATOR


def role_for(method: str, path: str) -> Role | None:
    """Return the role that a request needs, or None where nobody has to be known.

    Whatever is not named here needs a viewer to read and an operator to change.
    """
    if _PUBLIC.fullmatch(path):
        return None
    if method in _READS or path in _HARMLESS:
        return Role.VIEWER
    order = _ORDER.fullmatch(path)
    return role_for_verb(order[1]) if order else Role.OPERATOR


def role_from(word: str) -> Role:
    """Return the role of a word.

    Raises:
        ValueError: There is no such role.
    """
    try:
        return Role[word.upper()]
    except KeyError:
        known = ", ".join(role.word for role in Role)
        raise ValueError(f"not a role: {word!r} (write {known})") from None
