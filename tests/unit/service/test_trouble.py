"""Temporal's errors in an operator's words."""

import pytest
from temporalio.service import RPCError, RPCStatusCode

from kitsune.errors import BadQuery, KitsuneError, NotFound, ServerUnavailable
from kitsune.service.trouble import call_trouble, connect_trouble, plain_errors

WHERE = {"address": "localhost:7233", "namespace": "prod"}


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ('ConnectError("dns error", Custom {})', "no such host"),
        ("Os { code: 101, kind: NetworkUnreachable }", "network unreachable"),
        ("InvalidMessage(InvalidContentType)", "the server speaks without"),
        ("InvalidCertificate(UnknownIssuer)", "(UnknownIssuer)"),
        ("InvalidCertificate(Other(OtherError(CaUsedAsEndEntity)))", "(CaUsedAsEndEntity)"),
        ("AlertReceived(CertificateRequired)", "TEMPORAL_TLS_CLIENT_CERT_PATH"),
        ("PrivateKeyParseError", "not a PEM key"),
        ("hyper::Error(Io, Kind(ConnectionReset))", "TEMPORAL_TLS=true"),
        ("Status { code: Unimplemented }", "something else than Temporal"),
        ("Failed client connect: never seen before", "never seen before"),
    ],
)
def test_a_failed_connection_is_told_in_plain_words(text, meaning):
    error = connect_trouble(text, address="localhost:7233")
    assert meaning in str(error)
    assert "localhost:7233" in str(error)


@pytest.mark.parametrize(
    ("status", "text", "kind", "meaning"),
    [
        (
            RPCStatusCode.NOT_FOUND,
            "Namespace prod is not found.",
            ServerUnavailable,
            "namespace 'prod'",
        ),
        (RPCStatusCode.NOT_FOUND, "workflow not found for ID: web-1", NotFound, "'web-1'"),
        (RPCStatusCode.PERMISSION_DENIED, "no", ServerUnavailable, "TEMPORAL_API_KEY"),
        (RPCStatusCode.UNAUTHENTICATED, "no", ServerUnavailable, "TEMPORAL_API_KEY"),
        (RPCStatusCode.UNAVAILABLE, "tcp", ServerUnavailable, "stopped answering"),
        (RPCStatusCode.DEADLINE_EXCEEDED, "late", ServerUnavailable, "stopped answering"),
        (RPCStatusCode.UNKNOWN, "transport error", ServerUnavailable, "stopped answering"),
        (RPCStatusCode.UNKNOWN, "odd", KitsuneError, "refuses: odd"),
        (RPCStatusCode.RESOURCE_EXHAUSTED, "rps", ServerUnavailable, "too busy"),
        (RPCStatusCode.INVALID_ARGUMENT, "bad\nquery", BadQuery, "bad query"),
    ],
)
def test_a_failed_call_is_told_in_plain_words(status, text, kind, meaning):
    with (
        pytest.raises(KitsuneError, match=meaning) as told,
        plain_errors(**WHERE, rollout_id="web-1"),
    ):
        raise RPCError(text, status, b"")
    assert type(told.value) is kind


def test_something_not_found_that_was_no_rollout_is_not_called_one():
    error = call_trouble(RPCError("gone", RPCStatusCode.NOT_FOUND, b""), **WHERE)
    assert not isinstance(error, NotFound)


def test_a_rollout_that_there_is_not_is_named_for_whoever_looks_for_a_nearer_one():
    error = call_trouble(
        RPCError("gone", RPCStatusCode.NOT_FOUND, b""), **WHERE, rollout_id="web-1"
    )
    assert isinstance(error, NotFound)
    assert error.rollout_id == "web-1"
