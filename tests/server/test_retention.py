"""What a server forgets, and what Temporal may still ask it for."""

from datetime import UTC, datetime, timedelta

from kitsune.activities import open_rollouts
from kitsune.activities.open_rollouts import find_open_rollouts
from kitsune.agent.retention import Retention, tidy
from support.bench import connect, plan_of
from support.wire import Wire

AT_ONCE = Retention(age=timedelta(0))
DAY = timedelta(days=1)


async def test_only_rollouts_that_are_over_are_told_as_over(bench, client, monkeypatch):
    await bench.start_servers("a")
    over = await bench.start(plan_of("a"))
    assert (await bench.end_of(over)).success
    still_open = await bench.start(plan_of("a", hold="a"))
    await bench.probe.held.wait()
    asked = [over.id, still_open.id, "nobody-knows-it"]
    assert await find_open_rollouts(client, asked) == {still_open.id}
    monkeypatch.setattr(open_rollouts, "_ANSWER_WITHIN", timedelta(seconds=0.5))
    async with Wire(client.service_client.config.target_host) as address:
        behind = await connect(address)
    assert await find_open_rollouts(behind, asked) == set(asked)


async def test_a_step_is_remembered_for_as_long_as_it_may_be_handed_out(bench):
    await bench.start_servers("a")
    assert (await bench.run(plan_of("a"))).success
    state, now = bench.agents["a"].state, datetime.now(UTC)
    assert tidy(state, AT_ONCE, now=now + DAY).removed == []
    forgotten = tidy(state, AT_ONCE, now=now + 2 * DAY).removed
    assert [each.kind for each in forgotten] == ["journal", "journal"]
