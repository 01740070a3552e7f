"""Finds the users and groups that a plan names."""

import grp
import pwd

from kitsune.errors import StepFailed


def find_user_id(user: str) -> int:
    """Return the id of a user.

    Args:
        user: A name, or an id, which nobody needs to have.

    Raises:
        StepFailed: No such user here.
    """
    if _is_id(user):
        return int(user)
    try:
        return pwd.getpwnam(user).pw_uid
    except KeyError:
        raise StepFailed(f"no such user on this server: {user!r}", permanent=True) from None


def find_group_id(group: str) -> int:
    """Return the id of a group.

    Args:
        group: A name, or an id, which no group needs to have.

    Raises:
        StepFailed: No such group here.
    """
    if _is_id(group):
        return int(group)
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError:
        raise StepFailed(f"no such group on this server: {group!r}", permanent=True) from None


def _is_id(text: str) -> bool:
    return text.isascii() and text.isdigit()
