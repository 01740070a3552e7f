"""What an operator does with a browser, in a real one."""

import re

import pytest
from playwright.async_api import expect

from support.browsing import FAILS, HOSTILE, given, start, unique
from support.small_fleet import script

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="session")]

#: Browsers take the focus out of a closed dialog some milliseconds later: a fast `j` still comes from there.
KEY_WHILE_HELP_CLOSES = """() => {
  const help = document.getElementById("keys");
  help.showModal();
  const within = document.activeElement;
  help.close();
  within.dispatchEvent(new KeyboardEvent("keydown", {key: "j", bubbles: true}));
}"""


def cell(page, world, number):
    """Return the cell of a server."""
    return page.locator(f"#grid .cells a:text-is('{world.servers[number - 1]}')")


async def press(page, *keys):
    """Press keys, once the page's script is there to hear them."""
    await expect(page.locator("[data-keys]")).to_be_visible()
    for key in keys:
        await page.keyboard.press(key)


async def test_a_rollout_is_started_watched_approved_and_ends_before_ones_eyes(page, world):
    rollout_id = unique("release")
    plan = world.plan(script("sleep 0.2"), type="Canary", batchSize=2, approval="afterCanary")
    await page.goto("/rollouts/new")
    await page.fill("#plan", plan.replace('"Canary"', '"Canry"'))
    await page.click("text=Check and preview")
    await expect(page.locator(".marked .says")).to_contain_text("did you mean 'Canary'?")
    await start(page, plan, rollout_id=rollout_id)
    await page.evaluate("window.sameDocument = true")
    await expect(cell(page, world, 1)).to_have_class("s")
    await expect(cell(page, world, 2)).to_have_class("p")
    await expect(page.locator("#attention")).to_contain_text("Gate canary waits for approval")
    assert await page.evaluate("window.sameDocument"), "it changed without being loaded again"
    gate = page.locator("#act-gate")
    await gate.locator("summary").click()
    await expect(gate.locator("code")).to_have_text(f"kitsune approve {rollout_id} --gate canary")
    await gate.locator("[name=reason]").fill("graphs look good")
    await expect(gate.locator("code")).to_have_text(
        f"kitsune approve {rollout_id} --gate canary --reason 'graphs look good'"
    )
    await gate.locator("button.primary").click()
    await expect(page.locator(".flash")).to_be_visible()
    await expect(page.locator(".head .pill")).to_contain_text("succeeded")
    for number in (1, 2, 3):
        await expect(cell(page, world, number)).to_have_class("s")
    await page.click(".tabs >> text=Events")
    await expect(page.locator(".events")).to_contain_text("graphs look good")
    await page.click(".brand")
    await expect(page.locator(f"#row-{rollout_id}")).to_contain_text("3 succeeded")


async def test_a_step_is_followed_while_it_runs_and_the_rollout_is_aborted_with_a_reason(
    page, world, tmp_path
):
    rollout_id = unique("abort")
    go_on = tmp_path / "go-on"
    work = f"echo one; until [ -e {go_on} ]; do sleep 0.1; done; echo two; sleep 300"
    await start(page, world.plan(script(work)), rollout_id=rollout_id)
    await expect(cell(page, world, 1)).to_have_class("r")
    await cell(page, world, 1).click()
    lines = page.locator("#step-1[open] .lines")
    await expect(lines).to_contain_text("one")
    go_on.touch()
    await expect(lines).to_contain_text("two")
    await page.click(".crumb a")
    abort = page.locator(".head details:has(summary:text-is('Abort'))")
    await abort.locator("summary").click()
    await abort.locator("[name=reason]").fill("wrong release")
    await abort.locator("button.danger").click()
    await expect(page.locator(".head .pill")).to_contain_text("aborted")
    await expect(cell(page, world, 1)).to_have_class("c")
    await page.click(".tabs >> text=Events")
    await expect(page.locator(".events")).to_contain_text("wrong release")


async def test_a_failing_log_is_read_from_the_cause_to_its_last_line(page, world):
    rollout_id = unique("fails")
    plan = world.plan(script(FAILS, rollback="true"), maxFailures=2)
    await start(page, plan, rollout_id=rollout_id)
    await expect(page.locator(".head .pill")).to_contain_text("finished with failures")
    await expect(cell(page, world, 2)).to_have_class("f")
    failure = page.locator(".failure")
    await expect(failure).to_contain_text("1 server failed at step work")
    await failure.locator("a.go").click()
    await expect(page.locator("h1")).to_have_text(world.servers[1])
    log = page.locator("#step-1[open] .log[aria-label='stderr of work']")
    await expect(log.locator("li").first).to_have_text(f"red alert {HOSTILE}")
    await expect(log.locator(".a-f-red")).to_have_text("red alert")
    await log.locator("[data-log-search]").fill("LINE 59")
    await expect(log.locator("li.hit")).to_have_text("line 59")
    await log.locator("text=Whole log").click()
    await expect(page.locator("main")).to_contain_text("from the server's disk")
    await expect(page.locator(".lines li")).to_have_count(61)
    async with page.expect_download() as download:
        await page.click("text=Download")
    content = await (await download.value).path()
    assert content.read_bytes().startswith(b"\x1b[31mred alert\x1b[0m <img")
    assert await page.locator("main img").count() == 0


async def test_temporal_is_lost_and_comes_back(page, world):
    rollout_id = unique("lost")
    await start(page, world.plan(script("sleep 300")), rollout_id=rollout_id)
    await expect(cell(page, world, 1)).to_have_class("r")
    await expect(page.locator("#live")).to_have_text("live")
    world.temporal.cut()
    try:
        await expect(page.locator("#trouble")).to_contain_text("does not answer since")
        await expect(cell(page, world, 1)).to_have_class("r")
        await page.reload()
        await expect(page.locator("#trouble")).to_contain_text("showing what was known then")
        await expect(cell(page, world, 1)).to_have_class("r")
    finally:
        world.temporal.join()
    await expect(page.locator("#trouble")).to_be_hidden()
    await given(world.fleet, "abort", rollout_id, "--yes")
    await expect(cell(page, world, 1)).to_have_class("c")


async def test_a_lost_dashboard_is_told_with_the_time_of_what_is_shown(page, world):
    await page.goto("/rollouts")
    await expect(page.locator("#live")).to_have_text("live")
    world.line.cut()
    try:
        await expect(page.locator("#lost")).to_contain_text("Live updates lost")
        await expect(page.locator("#lost")).to_contain_text("this is what was known at")
    finally:
        world.line.join()
    await expect(page.locator("#lost")).to_be_hidden()
    await expect(page.locator("#live")).to_have_text("live")


async def test_pages_are_read_and_orders_given_without_javascript(chromium, world):
    rollout_id = unique("plain")
    context = await chromium.new_context(base_url=world.url, java_script_enabled=False)
    page = await context.new_page()
    await start(page, world.plan(script("sleep 300")), rollout_id=rollout_id)
    pause = page.locator(".head details:has(summary:text-is('Pause'))")
    await pause.locator("summary").click()
    await pause.locator("button.primary").click()
    await expect(page.locator(".head .pill")).to_contain_text("paused")
    await expect(page.locator(".copy").first).to_be_hidden()
    await cell(page, world, 3).click()
    await expect(page.locator("h1")).to_have_text(world.servers[2])
    await page.goto(f"/rollouts/{rollout_id}")
    abort = page.locator(".head details:has(summary:text-is('Abort'))")
    await abort.locator("summary").click()
    await abort.locator("button.danger").click()
    await expect(page.locator(".flash")).to_contain_text("abort")
    await context.close()


async def test_keys_lead_where_they_say(page, world):
    rollout_id = unique("keys")
    await start(page, world.plan(script("true")), rollout_id=rollout_id)
    await expect(page.locator(".head .pill")).to_contain_text("succeeded")
    await press(page, "?")
    await expect(page.locator("#keys")).to_be_visible()
    await press(page, "Escape")
    await expect(page.locator("#keys")).to_be_hidden()
    await page.evaluate(KEY_WHILE_HELP_CLOSES)
    await expect(cell(page, world, 1)).to_be_focused()
    await press(page, "ArrowRight")
    await expect(cell(page, world, 2)).to_be_focused()
    await press(page, "f")
    await expect(page.locator("#grid.only-bad")).to_be_visible()
    await press(page, "Enter")
    await expect(page.locator("h1")).to_have_text(world.servers[1])
    await press(page, "g", "r")
    await expect(page.locator("h1")).to_have_text("Rollouts")
    await press(page, "/")
    await expect(page.locator("#q")).to_be_focused()
    await page.keyboard.type(rollout_id)
    await press(page, "Enter")
    await expect(page).to_have_url(re.compile(r"[?&]q="))  # one row may have been all there was
    await expect(page.locator("tbody tr")).to_have_count(1)
    await press(page, "k")
    await expect(page.locator("a.go")).to_be_focused()
    await press(page, "g", "s")
    await expect(page.locator("h1")).to_have_text("Fleet")


async def test_servers_are_filtered_while_one_types_and_the_address_says_so(page, world):
    rollout_id = unique("search")
    await start(page, world.plan(script("true")), rollout_id=rollout_id)
    await expect(page.locator(".head .pill")).to_contain_text("succeeded")
    await page.click(".tabs >> text=Servers")
    for path in (f"/rollouts/{rollout_id}?view=servers", "/fleet"):
        await page.goto(path)
        rows = page.locator("table").first.locator("tbody tr")
        await expect(rows).to_have_count(3)
        await page.evaluate("window.sameDocument = true")
        await page.locator("#q").press_sequentially("WEB-2")
        await expect(rows).to_have_count(1)
        await expect(rows).to_contain_text(world.servers[1])
        assert await page.evaluate("window.sameDocument"), "it changed without being loaded again"
        await expect(page).to_have_url(re.compile(r"[?&]q=WEB-2"))
        await page.reload()
        await expect(rows).to_have_count(1)
        await page.locator("#q").fill("")
        await expect(rows).to_have_count(3)
