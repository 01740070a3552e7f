"""What tests with a browser do with the dashboard again and again."""

import os

from playwright.async_api import expect

expect.set_options(timeout=30_000)
HOSTILE = "<img src=x onerror=alert(1)>"
#: Fails on its second server only.
FAILS = (
    'case "$KITSUNE_SERVER_ID" in *web-2) '
    f"printf '\\033[31mred alert\\033[0m {HOSTILE}\\n' >&2; i=0; "
    'while [ $i -lt 60 ]; do echo "line $i" >&2; i=$((i+1)); done; exit 7;; esac; echo fine'
)


async def start(page, plan, *, rollout_id):
    """Start a rollout from the page, and stay on its own page."""
    await page.goto("/rollouts/new")
    await page.fill("#plan", plan)
    await page.fill("input[name=id]", rollout_id)
    await page.click("text=Check and preview")
    await page.fill("input[name=confirm]", "web")
    await page.click("button:has-text('Start on')")
    await expect(page.locator("h1")).to_have_text(rollout_id)


def unique(name):
    """Return an id that no other process of these tests takes."""
    return f"{name}-{os.getpid()}"


async def given(fleet, verb, rollout_id, *arguments):
    """Give an order from the command line."""
    done = fleet.kitsune(verb, rollout_id, *arguments)
    assert done.returncode == 0, done.stderr
