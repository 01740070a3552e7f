"""Rollout ids in addresses: who starts a rollout with Temporal's own tools may give it any id, `team/web 2` as well."""

from urllib.parse import quote, unquote

from starlette.requests import Request

#: Segments that mean something else: another page, and what browsers take out of an address.
_TAKEN = frozenset({"new", ".", ".."})


def segment_of(rollout_id: str) -> str:
    """Return an id as one segment of an address.

    It is encoded twice, for servers and proxies undo it once before they look for slashes; Kitsune's own ids stay as
    they are.
    """
    once = quote(rollout_id, safe="")
    if rollout_id in _TAKEN:
        once = "".join(f"%{byte:02X}" for byte in rollout_id.encode())
    return quote(once, safe="")


def rollout_id_of(request: Request) -> str:
    """Return the id of the rollout that a request is about."""
    return unquote(request.path_params["rollout_id"])
