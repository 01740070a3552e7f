"""One try over HTTP, against real receivers that behave well and badly."""

import asyncio
import logging
from datetime import timedelta

import pytest

from kitsune.embedded.ports import free_port
from kitsune.webhooks.delivery import judge, post
from support.receiver import Receiver

SOON = timedelta(seconds=20)


async def send(receiver, *, timeout=SOON):
    return await post(f"{receiver.address}/s3cr3t", b"{}", {"x-y": "z"}, timeout=timeout)


async def test_what_is_accepted_arrives_as_it_was_sent():
    with Receiver(204) as receiver:
        answer = await send(receiver)
    assert answer.problem is None
    (request,) = receiver.received
    assert (request.path, request.body, request.headers["x-y"]) == ("/s3cr3t", b"{}", "z")


async def test_a_redirect_is_not_followed():
    with Receiver() as other, Receiver((302, {"location": "/elsewhere"}, b"")) as receiver:
        answer = await send(receiver)
        assert other.received == []
    assert len(receiver.received) == 1
    assert not answer.again
    assert "a redirect, which is not followed" in answer.problem


async def test_of_a_large_answer_only_the_first_words_are_read():
    with Receiver((500, {}, b"no \x1b[2J" + b"x" * 5_000_000)) as receiver:
        answer = await send(receiver)
    assert answer.again
    assert len(answer.problem) < 200
    assert "\\x1b[2J" in answer.problem


async def test_a_receiver_that_is_not_there_is_tried_again_and_its_address_stays_secret():
    url = f"http://127.0.0.1:{free_port()}/s3cr3t"
    answer = await post(url, b"{}", {}, timeout=SOON)
    assert answer.again
    assert "ConnectError" in answer.problem
    assert "s3cr3t" not in answer.problem


@pytest.mark.parametrize(
    ("status", "problem"), [(b"200 OK", None), (b"500 Oh", "no answer within 1s")]
)
async def test_an_answer_that_drips_ends_and_what_was_accepted_stays_so(status, problem):
    ended = asyncio.Event()

    async def drip(_reader, writer):
        writer.write(b"HTTP/1.1 " + status + b"\r\ncontent-length: 100000\r\n\r\n")
        try:
            while True:
                writer.write(b"x")
                await writer.drain()
                await asyncio.sleep(0.05)
        except OSError:
            writer.close()
            ended.set()

    server = await asyncio.start_server(drip, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        answer = await post(url, b"{}", {}, timeout=timedelta(seconds=1))
        await asyncio.wait_for(ended.wait(), 20)
    assert (answer.problem, answer.again) == (problem, problem is not None)


async def test_the_log_holds_no_address(caplog):
    caplog.set_level(logging.INFO)
    with Receiver() as receiver:
        await send(receiver)
    assert "s3cr3t" not in caplog.text


@pytest.mark.parametrize(
    ("status", "accepted", "again"),
    [
        (200, True, False),
        (204, True, False),
        (307, False, False),
        (400, False, False),
        (401, False, False),
        (404, False, False),
        (408, False, True),
        (425, False, True),
        (429, False, True),
        (500, False, True),
        (503, False, True),
    ],
)
def test_what_passes_is_tried_again_and_what_lasts_is_not(status, accepted, again):
    answer = judge(status, {}, "")
    assert (answer.problem is None, answer.again) == (accepted, again)


@pytest.mark.parametrize(
    ("asked", "pause"), [("7", 7), ("999999999", 300), ("Wed, 21 Oct", None), ("-1", None)]
)
def test_a_receiver_may_ask_for_a_pause_but_not_for_any(asked, pause):
    found = judge(429, {"retry-after": asked}, "").pause
    assert found == (None if pause is None else timedelta(seconds=pause))
