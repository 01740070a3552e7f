"""What must hold on every page: axe finds nothing, and nothing is wider than a phone."""

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import expect

from support.browsing import FAILS, unique
from support.logins import PASSWORD
from support.small_fleet import script

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="session")]
PHONE = {"width": 390, "height": 844}
#: A word that no browser breaks by itself.
LONG = "unbreakable-" * 12

#: Panels close each other, unless they have nothing in common.
OPEN_ALL = """for (const each of document.querySelectorAll("details")) {
  each.removeAttribute("name");
  each.open = true;
}"""

#: What reaches beyond the right edge of the window, unless it scrolls within something.
WIDEST = """() => {
  const page = document.documentElement;
  if (page.scrollWidth <= innerWidth) return "";
  const wide = [...document.querySelectorAll("main *, header *")].filter((each) => each.getBoundingClientRect().right > innerWidth + 1);
  return `${page.scrollWidth} px: ${wide.slice(0, 3).map((each) => each.outerHTML.slice(0, 120)).join(" | ")}`;
}"""


def paths_of(rollout_id, world):
    """Return every page of a rollout, and those beside it."""
    rollout, server = (
        f"/rollouts/{rollout_id}",
        f"/rollouts/{rollout_id}/servers/{world.servers[0]}",
    )
    views = [f"{rollout}?view={view}" for view in ("servers", "timeline", "plan", "events")]
    others = ["/rollouts", "/fleet", "/rollouts/new", "/rollouts/none"]
    return [rollout, *views, server, f"{server}/log?step=1&stream=stdout", *others]


async def wrongs(page, path):
    """Return what axe finds on a page, in light and in dark."""
    found = []
    # In the dark only colours are others.
    for scheme, rules in (("light", None), ("dark", ["color-contrast"])):
        await page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        only = {"runOnly": {"type": "rule", "values": rules}} if rules else {}
        seen = await Axe().run(page, options={"resultTypes": ["violations"], **only})
        found += [
            f"{scheme} {path} {wrong['id']}: {wrong['nodes'][0]['html']}"
            for wrong in seen.response["violations"]
        ]
    return found


@pytest.fixture(scope="module")
def waiting(world):
    """Return a rollout that waits for an approval, with a failure and long words; it is aborted at the end."""
    rollout_id = unique("every")
    plan = {
        "name": "web",
        "servers": world.servers,
        "steps": [script(FAILS), script("true", name=LONG[:60])],
        "rolloutStrategy": {"type": "Sequential", "maxFailures": 2, "approval": "everyBatch"},
    }
    path = world.fleet.plan(**plan)
    begun = world.fleet.kitsune("run", path, "--id", rollout_id, "--detach", "--yes")
    assert begun.returncode == 0, begun.stderr
    yield rollout_id
    world.fleet.kitsune("abort", rollout_id, "--yes")


async def test_axe_finds_nothing_on_any_page_in_light_and_in_dark(page, world, waiting):
    await page.goto(f"/rollouts/{waiting}")
    await expect(page.locator("#attention")).to_contain_text("waits for approval")
    found = []
    for path in paths_of(waiting, world):
        await page.goto(path)
        await page.evaluate(OPEN_ALL)
        found += await wrongs(page, path)
    assert found == []


async def test_axe_finds_nothing_before_a_login_and_where_somebody_may_only_look(
    chromium, world, waiting
):
    context = await chromium.new_context(base_url=world.guarded())
    page = await context.new_page()
    await page.goto("/login")
    found = await wrongs(page, "/login")
    await log_in(page, "vera", "wrong")
    await expect(page.locator("[role=alert].error")).to_be_visible()
    found += await wrongs(page, "/login refused")
    await log_in(page, "vera", PASSWORD)
    await expect(page.locator("h1")).to_have_text("Rollouts")
    for path in paths_of(waiting, world):
        await page.goto(path)
        await page.evaluate(OPEN_ALL)
        found += await wrongs(page, f"{path} as a viewer")
    await page.goto(f"/rollouts/{waiting}")
    await page.evaluate(OPEN_ALL)
    assert await page.locator(".head .acts form .no").count() >= 3, "it says who may"
    await context.close()
    assert found == []


async def test_no_page_scrolls_sideways_on_a_phone(chromium, world, waiting):
    found = []
    for base, paths in (
        (world.url, paths_of(waiting, world)),
        (world.guarded(), ["/login"]),
    ):
        context = await chromium.new_context(base_url=base, viewport=PHONE)
        page = await context.new_page()
        for path in paths:
            await page.goto(path)
            found += [f"{path} {wide}" for wide in [await page.evaluate(WIDEST)] if wide]
            await page.evaluate(OPEN_ALL)
            found += [f"{path} opened {wide}" for wide in [await page.evaluate(WIDEST)] if wide]
        await context.close()
    context = await chromium.new_context(base_url=world.url, viewport=PHONE)
    page = await context.new_page()
    for plan in (
        world.plan(script("true", name=LONG)),
        world.plan(script("true"), name=LONG, tpye="x"),
    ):
        await page.goto("/rollouts/new")
        await page.fill("#plan", plan)
        await page.click("text=Check and preview")
        await expect(page.locator(".call, .lead").first).to_be_visible()
        found += [f"preview {wide}" for wide in [await page.evaluate(WIDEST)] if wide]
    await context.close()
    assert found == []


async def log_in(page, name, password):
    """Fill in the login page."""
    await page.fill("#name", name)
    await page.fill("#password", password)
    await page.click("main button")
