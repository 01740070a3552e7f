"""The dashboard starts only where it is safe to."""

from pathlib import Path

import pytest

from kitsune.dashboard.settings import DashboardSettings, check_settings
from kitsune.errors import DashboardRefused

TLS = {"tls_certificate": Path("cert.pem"), "tls_key": Path("key.pem")}
LOCAL = {"authentication": "local", "users_file": Path("users.toml")}
NAMED = {"public_url": "https://kitsune.example.org"}


def refusal(**settings):
    with pytest.raises(DashboardRefused) as refused:
        check_settings(DashboardSettings(**settings))
    return str(refused.value)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "[::1]", "localhost"])
def test_on_the_loopback_nothing_has_to_be_set(host):
    settings = check_settings(DashboardSettings(host=host))
    assert settings.is_loopback
    assert "localhost" in settings.hosts


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "10.0.0.7", "kitsune.example.org"])
def test_anywhere_else_it_wants_tls_and_to_know_who_is_asking(host):
    text = refusal(host=host, **NAMED)
    assert "--tls-certificate and --tls-key" in text
    assert "--authentication" in text
    assert "--authentication" in refusal(host=host, **NAMED, **TLS)
    assert "--tls-certificate" in refusal(host=host, **NAMED, **LOCAL)
    check_settings(DashboardSettings(host=host, **NAMED, **TLS, **LOCAL))


def test_a_proxy_in_front_is_no_reason_to_listen_without_tls():
    text = refusal(host="10.0.0.7", authentication="header", trusted_proxies=("10.0.0.8",), **NAMED)
    assert "--tls-certificate" in text


def test_every_address_needs_a_name():
    assert "--allowed-host" in refusal(host="0.0.0.0", **TLS, **LOCAL)


def test_half_a_certificate_is_refused():
    assert "both" in refusal(tls_key=Path("key.pem"))


def test_a_login_needs_users_and_a_header_needs_a_proxy():
    assert "--users-file" in refusal(authentication="local")
    assert "--trusted-proxy" in refusal(authentication="header")


def test_everything_that_is_wrong_is_said_at_once():
    text = refusal(
        authentication="header",
        trusted_proxies=("10.0.0.0/33",),
        public_url="kitsune.example.org",
        tls_key=Path("key.pem"),
    )
    assert "10.0.0.0/33" in text
    assert "public URL" in text
    assert "both" in text


def test_names_are_the_given_ones_and_on_the_loopback_its_own():
    settings = DashboardSettings(
        host="10.0.0.7", allowed_hosts=("Kitsune.test",), public_url="https://k.example.org:8443"
    )
    assert settings.hosts == {"10.0.0.7", "kitsune.test", "k.example.org"}
