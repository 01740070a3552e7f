"""Streams: only what has changed, bounded in every way, and only while somebody may read them."""

import asyncio
import json
from dataclasses import replace

import pytest

from kitsune.dashboard import board as board_module
from kitsune.dashboard import entries, event_streams
from kitsune.dashboard.snapshots import RolloutList, Snapshot
from kitsune.dashboard.stream import event_text, list_events, rollout_events
from support.fake_fleet import BEGAN, FakeRollout
from support.logins import log_in


@pytest.fixture(autouse=True)
def in_a_hurry(monkeypatch):
    from datetime import timedelta

    monkeypatch.setattr(board_module, "_TICK", 0.005)
    monkeypatch.setattr(board_module, "LOOKED_AT", timedelta(milliseconds=20))
    monkeypatch.setattr(entries, "_SHORTEST", timedelta(milliseconds=20))
    monkeypatch.setattr(event_streams, "PAUSE", 0.01)
    monkeypatch.setattr(event_streams, "HEARTBEAT", 0.05)


def snapshot(rollout, *, version=1, trouble=None):
    return Snapshot(
        rollout.row(),
        BEGAN,
        progress=rollout.progress(),
        outcome=rollout.outcome,
        plan=rollout.plan,
        trouble=trouble,
        version=version,
    )


def told(events):
    found = {}
    for event in events:
        lines = dict(line.split(": ", 1) for line in event.strip().splitlines())
        found[lines["event"]] = json.loads(lines["data"])
    return found


def test_the_first_look_tells_everything_and_the_next_only_what_changed():
    rollout = FakeRollout("web-1", "a", "b", "c")
    first = snapshot(rollout)
    seen = told(rollout_events(None, first))
    assert seen["summary"]["counts"] == {"pending": 3}
    assert seen["cells"]["cells"] == {"a": "p", "b": "p", "c": "p"}
    rollout.states["b"] = "running"
    second = snapshot(rollout, version=2)
    seen = told(rollout_events(first, second))
    assert seen["cells"]["cells"] == {"b": "r"}
    assert seen["summary"]["version"] == 2
    assert "end" not in seen
    rollout.end(c="disk full")
    seen = told(rollout_events(second, snapshot(rollout, version=3)))
    assert seen["cells"]["cells"] == {"a": "s", "b": "s", "c": "f"}
    assert seen["end"] == {"state": "failed"}


def test_trouble_is_told_when_it_comes_and_when_it_goes():
    rollout = FakeRollout("web-1", "a")
    fine, bad = snapshot(rollout), snapshot(rollout, version=2, trouble="Temporal is away")
    assert told(rollout_events(fine, bad))["trouble"] == {"text": "Temporal is away"}
    assert told(rollout_events(bad, replace(fine, version=3)))["trouble"] == {"text": None}
    assert "trouble" not in told(rollout_events(bad, bad))


def test_a_list_tells_changed_rows_only():
    one, two = FakeRollout("web-1", "a"), FakeRollout("web-2", "a")
    before = RolloutList(rows=(one.row(),), version=1)
    events = told(list_events(before, RolloutList(rows=(two.row(), one.row()), version=2)))
    assert [row["rolloutId"] for row in events["rollouts"]["rows"]] == ["web-2"]
    assert list_events(before, before) == []


def test_an_event_is_one_line_whatever_is_in_it():
    text = event_text("trouble", {"text": "a\n\nevent: evil\rdata: x\u2028"})
    assert len(text.strip().splitlines()) == 2


class Stream:
    """A browser that reads a stream."""

    def __init__(self, app, path, headers):
        self.status, self.text = None, ""
        self.headers = {}
        self._gone = asyncio.Event()
        self._asked = False
        path, _, query = path.partition("?")
        scope = {
            "type": "http",
            "http_version": "1.1",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "method": "GET",
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": [(b"host", b"127.0.0.1"), *headers],
            "client": ("127.0.0.1", 4711),
            "server": ("127.0.0.1", 80),
        }
        self.task = asyncio.create_task(app(scope, self._receive, self._send))

    async def _receive(self):
        if not self._asked:
            self._asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message):
        if self._gone.is_set():
            raise OSError("gone")
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {name.decode(): value.decode() for name, value in message["headers"]}
            await asyncio.sleep(0)  # as of a connection that takes its time
        else:
            self.text += message.get("body", b"").decode()

    async def until(self, said):
        async with asyncio.timeout(10):
            while said not in self.text:
                assert not self.task.done() or said in self.text, self.text
                await asyncio.sleep(0.005)

    async def ended(self):
        async with asyncio.timeout(10):
            await self.task

    async def leave(self):
        self._gone.set()
        async with asyncio.timeout(10):
            await asyncio.gather(self.task, return_exceptions=True)


@pytest.fixture
async def listen():
    opened = []

    def open_stream(client, path, **headers):
        given = [
            (name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()
        ]
        cookies = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
        stream = Stream(client.app, path, [*given, (b"cookie", cookies.encode())])
        opened.append(stream)
        return stream

    yield open_stream
    for stream in opened:
        await stream.leave()


async def test_a_browser_sees_changes_and_the_end_as_they_come(serve, listen, rollout):
    async with serve() as client:
        stream = listen(client, "/stream/rollouts/web-1")
        await stream.until('"a":"p"')
        assert stream.headers["content-type"].startswith("text/event-stream")
        assert stream.headers["cache-control"] == "no-store"
        assert "content-security-policy" in stream.headers
        rollout.states["b"] = "running"
        await stream.until('{"cells":{"b":"r"}}')
        rollout.end()
        await stream.until("event: end")
        await stream.leave()


async def test_the_list_is_streamed_as_well(serve, listen, fleet):
    async with serve() as client:
        stream = listen(client, "/stream/rollouts")
        await stream.until('"rolloutId":"web-1"')
        fleet.known["web-2"] = FakeRollout("web-2", "a")
        await stream.until('"rolloutId":"web-2"')
        fleet.away = True
        await stream.until("event: trouble")
        await stream.leave()


async def test_a_quiet_stream_shows_that_it_lives(serve, listen):
    async with serve() as client:
        stream = listen(client, "/stream/rollouts/web-1")
        await stream.until(": still here")
        await stream.leave()


async def test_a_browser_that_has_the_version_is_told_nothing_twice(serve, listen, rollout):
    async with serve() as client:
        version = (await client.app.state.board.rollout("web-1")).version
        for how in ({"path": f"?since={version}"}, {"last_event_id": str(version)}):
            path = "/stream/rollouts/web-1" + how.pop("path", "")
            stream = listen(client, path, **how)
            await stream.until(": still here")
            assert "cells" not in stream.text
            await stream.leave()
        stream = listen(client, "/stream/rollouts/web-1?since=1")
        await stream.until("event: cells")
        await stream.leave()


async def test_a_stream_ends_with_the_session(serve, listen, local):
    async with serve(**local) as client:
        await log_in(client, "vera")
        stream = listen(client, "/stream/rollouts/web-1")
        await stream.until("event: cells")
        await client.post("/logout")
        await stream.ended()


async def test_a_stream_does_not_keep_a_session_alive(serve, listen, local, monkeypatch):
    from datetime import timedelta

    from kitsune.dashboard import sessions

    async with serve(**local) as client:
        await log_in(client, "vera")
        stream = listen(client, "/stream/rollouts/web-1")
        await stream.until("event: cells")
        monkeypatch.setattr(sessions, "IDLE", timedelta(milliseconds=1))
        await stream.ended()


async def test_streams_are_bounded_and_one_that_ends_makes_room(serve, listen, monkeypatch):
    monkeypatch.setattr(event_streams, "MOST", 3)
    async with serve() as client:
        streams = [listen(client, "/stream/rollouts") for _ in range(3)]
        for stream in streams:
            await stream.until("web-1")
        refused = listen(client, "/stream/rollouts")
        await refused.ended()
        assert refused.status == 503
        await streams[0].leave()
        again = listen(client, "/stream/rollouts")
        await again.until("web-1")


async def test_streams_that_come_all_at_once_are_bounded_as_well(serve, listen, monkeypatch):
    monkeypatch.setattr(event_streams, "MOST", 3)
    async with serve() as client:
        streams = [listen(client, "/stream/rollouts") for _ in range(8)]
        async with asyncio.timeout(10):
            while any(stream.status is None for stream in streams):
                await asyncio.sleep(0.005)
        assert sorted(stream.status for stream in streams) == [200] * 3 + [503] * 5


async def test_browsers_that_leave_leave_nothing_behind(serve, listen):
    async with serve() as client:
        state = client.app.state
        streams = [listen(client, f"/stream/rollouts{part}") for part in ("", "/web-1") * 5]
        for stream in streams:
            await stream.until("web-1" if stream is streams[0] else "event: ")
        assert state.streams.open == 10
        for stream in streams:
            await stream.leave()
        assert state.streams.open == 0
        assert state.board._entries["web-1"].watchers == 0
        assert state.board._list_watchers == 0


async def test_an_hour_old_stream_ends(serve, listen, monkeypatch):
    monkeypatch.setattr(event_streams, "LONGEST", 0.1)
    async with serve() as client:
        await listen(client, "/stream/rollouts/web-1").ended()


async def test_streams_end_when_the_dashboard_does(serve, listen):
    async with serve() as client:
        streams = [listen(client, "/stream/rollouts"), listen(client, "/stream/rollouts/web-1")]
        for stream in streams:
            await stream.until("event: ")
        await client.app.state.board.close()
        for stream in streams:
            await stream.ended()


async def test_a_rollout_that_there_is_not_has_no_stream(serve, listen):
    async with serve() as client:
        stream = listen(client, "/stream/rollouts/nowhere")
        await stream.ended()
        assert stream.status == 404


async def test_a_slow_browser_gets_the_newest_and_skips_the_rest(
    serve, listen, rollout, monkeypatch
):
    monkeypatch.setattr(event_streams, "PAUSE", 0.3)
    async with serve() as client:
        stream = listen(client, "/stream/rollouts/web-1")
        await stream.until('"a":"p"')
        for state in ("running", "failed", "succeeded") * 4:
            rollout.states["a"] = state
            await asyncio.sleep(0.02)
        await stream.until('"a":"s"')
        assert stream.text.count("event: cells") <= 4
