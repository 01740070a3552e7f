"""The dashboard's figures: off unless asked for, bounded whatever is asked of it."""

from datetime import UTC, datetime, timedelta

from kitsune import metrics
from support.prometheus import figure, figures_of


async def figures_from(client):
    answer = await client.get("/metrics")
    assert answer.status_code == 200
    return figures_of(answer.text)


async def test_without_the_setting_there_are_no_figures(serve):
    async with serve() as client:
        assert (await client.get("/metrics")).status_code == 404


async def test_rollouts_are_counted_by_state_as_they_were_last_seen(serve):
    async with serve(metrics=True) as client:
        found = await figures_from(client)
        states = [row.state for row in client.app.state.board.last_seen.rows]
    assert figure(found, metrics.DASHBOARD_ROLLOUTS, state=states[0]) == states.count(states[0])


async def test_looking_at_figures_asks_temporal_for_nothing(serve, monkeypatch):
    async with serve(metrics=True) as client:
        board = client.app.state.board
        await figures_from(client)
        assert board._list_asked is None


async def test_how_old_the_last_contact_is_shows(serve):
    async with serve(metrics=True) as client:
        board = client.app.state.board
        board._contact.last = datetime.now(UTC) - timedelta(minutes=5)
        age = figure(await figures_from(client), metrics.DASHBOARD_CONTACT_AGE)
        assert 300 <= age < 400
        board._contact.last = None
        assert figure(await figures_from(client), metrics.DASHBOARD_CONTACT_AGE) == -1


async def test_requests_are_counted_by_route_and_never_by_what_a_stranger_writes(serve):
    async with serve(metrics=True) as client:
        for path in ("/healthz", "/nowhere/s3cr3t", "/healthz"):
            await client.get(path)
        await client.request("BREW", "/healthz")
        await client.get("/healthz", headers={"host": "evil.example"})
        found = await figures_from(client)
    healthz = {"method": "GET", "route": "/healthz"}
    assert figure(found, metrics.DASHBOARD_REQUESTS, status="200", **healthz) == 2
    assert figure(found, metrics.DASHBOARD_REQUESTS, status="421", **healthz) == 1
    assert figure(found, metrics.DASHBOARD_REQUESTS, method="other", status="405") == 1
    assert figure(found, metrics.DASHBOARD_REQUESTS, route="other", status="404") == 1
    assert "s3cr3t" not in str(found)


async def test_figures_need_no_login(serve, local):
    async with serve(metrics=True, **local) as client:
        assert await figures_from(client)
        assert (await client.get("/healthz")).status_code == 200


async def test_every_figure_of_the_dashboard_is_served_under_its_name(serve):
    async with serve(metrics=True) as client:
        await client.get("/healthz")
        served = {name for name, _ in await figures_from(client)}
    declared = {metric.name for metric in metrics.METRICS if metric.where == "dashboard"}
    assert served == declared | {"kitsune_build_info"}
