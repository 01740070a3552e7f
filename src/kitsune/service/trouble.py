"""What goes wrong with Temporal, in an operator's words: the one place that reads its errors."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from temporalio.service import RPCError, RPCStatusCode

from kitsune.errors import BadQuery, KitsuneError, NotFound, ServerUnavailable

#: What a call ends with when Temporal is away or does not answer in time.
AWAY = frozenset(
    {RPCStatusCode.UNAVAILABLE, RPCStatusCode.DEADLINE_EXCEEDED, RPCStatusCode.CANCELLED}
)
_NOT_ALLOWED = frozenset({RPCStatusCode.PERMISSION_DENIED, RPCStatusCode.UNAUTHENTICATED})
_LONGEST_REASON = 300
#: How the SDK's errors about a connection begin.
CONNECT_FAILED = "Failed client connect: "

#: What the SDK's connection errors contain -> why nobody answers.
_SILENT = {
    "ConnectionRefused": "connection refused",
    "dns error": "no such host",
    "NetworkUnreachable": "network unreachable",
    "HostUnreachable": "host unreachable",
    "TimedOut": "connection timed out",
}
#: What they contain when somebody answers -> what is wrong, and what would work.
_REFUSALS = {
    "InvalidContentType": "TLS is set here, but the server speaks without: "
    "unset TEMPORAL_TLS_*, or set TEMPORAL_TLS=false",
    "InvalidCertificate": "its TLS certificate is not trusted here: "
    "set TEMPORAL_TLS_SERVER_CA_CERT_PATH or TEMPORAL_TLS_SERVER_NAME",
    "CertificateRequired": "it wants a client certificate: "
    "set TEMPORAL_TLS_CLIENT_CERT_PATH and TEMPORAL_TLS_CLIENT_KEY_PATH",
    "PrivateKeyParseError": "the client key of the TLS settings is not a PEM key",
    "CertificateParseError": "a certificate of the TLS settings is not PEM",
    "Kind(ConnectionReset)": "it closed the connection: perhaps it wants TLS (TEMPORAL_TLS=true)",
    "Unimplemented": "something else than Temporal answers there",
}


def no_answer(address: str, reason: str) -> ServerUnavailable:
    """Return the error for an address where no Temporal answers."""
    return ServerUnavailable(
        f"Temporal does not answer at {address} ({reason}): "
        "start one with `kitsune dev`, or set TEMPORAL_ADDRESS",
        silent=True,
    )


def connect_trouble(text: str, *, address: str) -> ServerUnavailable:
    """Return what the text of a failed connection means.

    The SDK raises one `RuntimeError` for all of them; only its text tells them apart.
    """
    for sign, meaning in _REFUSALS.items():
        if sign in text:
            exact = re.search(r"InvalidCertificate\((?:Other\(\w+\()?(\w+)\)", text)
            detail = f" ({exact[1]})" if exact else ""
            return ServerUnavailable(f"cannot use Temporal at {address}: {meaning}{detail}")
    reason = next((words for sign, words in _SILENT.items() if sign in text), None)
    return no_answer(address, reason or text.removeprefix(CONNECT_FAILED)[:_LONGEST_REASON])


def call_trouble(  # noqa: PLR0911 - one return for each kind of trouble
    error: RPCError, *, address: str, namespace: str, rollout_id: str | None = None
) -> KitsuneError:
    """Return what a failed call means; `rollout_id` is the rollout that it was about."""
    text = " ".join(error.message.split())[:_LONGEST_REASON]
    where = f"Temporal at {address}"
    if error.status is RPCStatusCode.NOT_FOUND and "amespace" in text:
        return ServerUnavailable(
            f"{where} has no namespace {namespace!r}: set TEMPORAL_NAMESPACE, "
            f"or make it with `temporal operator namespace create {namespace}`"
        )
    if error.status is RPCStatusCode.NOT_FOUND and rollout_id is not None:
        return NotFound(
            f"no rollout {rollout_id!r} at {address}, namespace {namespace}",
            rollout_id=rollout_id,
        )
    if error.status in _NOT_ALLOWED:
        return ServerUnavailable(
            f"{where} does not let us into namespace {namespace!r} ({text}): "
            "check TEMPORAL_API_KEY and the TLS settings"
        )
    if error.status in AWAY or is_cut_off(error):
        return ServerUnavailable(f"{where} has stopped answering ({text})", silent=True)
    if error.status is RPCStatusCode.RESOURCE_EXHAUSTED:
        return ServerUnavailable(f"{where} is too busy just now ({text})", silent=True)
    if error.status is RPCStatusCode.INVALID_ARGUMENT:
        return BadQuery(f"{where} does not understand: {text}")
    return KitsuneError(f"{where} refuses: {text} ({error.status.name})")


def is_cut_off(error: RPCError) -> bool:
    """Return whether a connection broke off in the middle of a call; the SDK has no status for that."""
    return error.status is RPCStatusCode.UNKNOWN and "transport error" in error.message


@contextmanager
def plain_errors(*, address: str, namespace: str, rollout_id: str | None = None) -> Iterator[None]:
    """Turn the failed calls of a block into Kitsune's own errors."""
    try:
        yield
    except RPCError as error:
        raise call_trouble(
            error, address=address, namespace=namespace, rollout_id=rollout_id
        ) from error
    except RuntimeError as error:  # a client that connects with its first call
        if not str(error).startswith(CONNECT_FAILED):
            raise
        raise connect_trouble(str(error), address=address) from error
