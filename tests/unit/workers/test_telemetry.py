"""Where figures are served: an address that cannot be is one clear error."""

import socket

import pytest

from kitsune.embedded.ports import free_port
from kitsune.errors import BadSetting
from kitsune.workers.telemetry import make_runtime, measures_of
from support.prometheus import read_figures


@pytest.mark.parametrize(
    "address", ["", "9464", ":9464", "web-1:9464", "127.0.0.1:0", "127.0.0.1:65536", "1.2.3:80"]
)
def test_what_is_no_address_is_named_with_what_would_work(address):
    if not address:  # not asked for
        assert make_runtime(address)
        return
    with pytest.raises(BadSetting) as refused:
        make_runtime(address)
    assert str(refused.value) == (
        f"not an address to serve metrics on: {address!r} (write IP:PORT, as in 127.0.0.1:9464 or "
        "[::]:9464, for --metrics-address or KITSUNE_METRICS_ADDRESS)"
    )


def test_an_address_that_is_not_this_hosts_is_told_in_words():
    with pytest.raises(BadSetting, match=r"'203\.0\.113\.1:9464': cannot assign requested address"):
        make_runtime("203.0.113.1:9464")


def test_a_taken_port_is_told_in_words():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(BadSetting, match="address already in use"):
            make_runtime(address)


def test_localhost_means_loopback():
    port = free_port()
    runtime = make_runtime(f"localhost:{port}")
    measures_of(runtime)
    assert ("kitsune_temporal_reachable", ()) in read_figures(f"127.0.0.1:{port}")
