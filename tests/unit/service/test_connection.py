"""The way to Temporal: where it is, what is said when it is not there, and how long one waits."""

import asyncio
import logging
import os
import socket
from datetime import timedelta
from itertools import islice
from types import SimpleNamespace

import pytest

from kitsune.errors import ServerUnavailable
from kitsune.service import connection as module
from kitsune.service.connection import (
    actor,
    client_identity,
    connect,
    connect_patiently,
    find_target,
    pauses,
)
from kitsune.service.options import ConnectionOptions


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch, tmp_path):
    """Keep the settings of whoever runs the tests out of them."""
    for name in [name for name in os.environ if name.startswith("TEMPORAL_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("TEMPORAL_CONFIG_FILE", str(tmp_path / "temporal.toml"))


@pytest.fixture
def profiles(tmp_path):
    def write(text):
        (tmp_path / "temporal.toml").write_text(text)

    return write


@pytest.fixture
def waits(monkeypatch):
    """Replace every pause by a note of its length."""
    slept = []

    async def note(seconds):
        slept.append(seconds)

    # Of this module only: others in this process may sleep as well.
    monkeypatch.setattr(module, "asyncio", SimpleNamespace(**{**vars(asyncio), "sleep": note}))
    return slept


def test_without_settings_it_is_the_usual_address():
    target = find_target(ConnectionOptions())
    assert (target.address, target.namespace) == ("localhost:7233", "default")


def test_environment_and_flags_say_where_flags_win(monkeypatch):
    monkeypatch.setenv("TEMPORAL_ADDRESS", "temporal.example:7233")
    monkeypatch.setenv("TEMPORAL_NAMESPACE", "prod")
    assert find_target(ConnectionOptions()).address == "temporal.example:7233"
    target = find_target(ConnectionOptions(address="[::1]:7777", namespace="test"))
    assert (target.address, target.namespace) == ("[::1]:7777", "test")


def test_a_profile_brings_address_and_key(profiles):
    profiles('[profile.prod]\naddress = "prod.example:7233"\napi_key = "secret"\n')
    target = find_target(ConnectionOptions(profile="prod"))
    assert target.address == "prod.example:7233"
    assert target.settings["api_key"] == "secret"
    assert target.settings["tls"] is True


@pytest.mark.parametrize("address", ["localhost", "foo bar:1", "http://localhost:7233", ":7233"])
def test_what_is_no_address_is_refused_with_an_example(address):
    with pytest.raises(ServerUnavailable, match="write host:port"):
        find_target(ConnectionOptions(address=address))


def test_an_unknown_profile_is_named(profiles):
    profiles("")
    with pytest.raises(ServerUnavailable, match="no Temporal profile 'prod'"):
        find_target(ConnectionOptions(profile="prod"))


def test_a_broken_configuration_file_is_told_in_one_line(profiles):
    profiles("x = [")
    with pytest.raises(ServerUnavailable, match="settings cannot be used") as told:
        find_target(ConnectionOptions())
    assert "\n" not in str(told.value)


def test_a_missing_certificate_file_is_named(monkeypatch):
    monkeypatch.setenv("TEMPORAL_TLS_CLIENT_CERT_PATH", "/nowhere/cert.pem")
    with pytest.raises(ServerUnavailable, match=r"/nowhere/cert\.pem"):
        find_target(ConnectionOptions())


async def test_a_closed_port_is_told_with_what_to_do():
    with pytest.raises(ServerUnavailable) as told:
        await connect(ConnectionOptions(address="127.0.0.1:1"))
    assert str(told.value) == (
        "Temporal does not answer at 127.0.0.1:1 (connection refused): "
        "start one with `kitsune dev`, or set TEMPORAL_ADDRESS"
    )


async def test_a_port_that_never_answers_is_given_up(monkeypatch):
    monkeypatch.setattr(module, "ONE_TRY", timedelta(seconds=0.2))
    with socket.create_server(("127.0.0.1", 0)) as listening:  # and never accepts
        port = listening.getsockname()[1]
        with pytest.raises(ServerUnavailable, match=r"no answer within 0\.2 s"):
            await connect(ConnectionOptions(address=f"127.0.0.1:{port}"))


async def test_a_worker_waits_says_so_once_and_says_when_it_is_connected(
    monkeypatch, waits, caplog
):
    answers = [
        ServerUnavailable("refused"),
        ServerUnavailable("refused"),
        ServerUnavailable("no namespace"),
        "client",
    ]

    async def answer(target, **_options):
        said = answers.pop(0)
        if isinstance(said, Exception):
            raise said
        return said

    monkeypatch.setattr(module, "_connect_once", answer)
    caplog.set_level(logging.INFO)
    client = await connect_patiently(ConnectionOptions(), log=logging.getLogger("worker"))
    assert client == "client"
    assert caplog.messages == [
        "waiting for Temporal: refused",
        "waiting for Temporal: no namespace",
        "connected to Temporal at localhost:7233, namespace default",
    ]
    assert len(waits) == 3


async def test_a_worker_with_unusable_settings_does_not_wait(profiles, waits):
    profiles("x = [")
    with pytest.raises(ServerUnavailable):
        await connect_patiently(ConnectionOptions(), log=logging.getLogger("worker"))
    assert waits == []


def test_pauses_grow_to_their_limit_and_are_spread():
    assert list(islice(pauses(jitter=0), 7)) == [0.5, 1, 2, 4, 8, 15, 15]
    for plain, spread in zip(islice(pauses(jitter=0), 50), pauses(), strict=False):
        assert plain / 2 <= spread <= plain


def test_the_client_says_who_and_where_it_is():
    assert client_identity().startswith("kitsune-cli@")
    assert "@" in actor()


def test_a_user_without_a_name_is_told_by_number(monkeypatch):
    def nobody():
        raise KeyError("uid not found")

    monkeypatch.setattr(module.getpass, "getuser", nobody)
    assert actor().startswith("uid ")
