import asyncio

import pytest


@pytest.fixture
def eventually():
    """Wait until something is so; fails after 20 s."""

    async def wait(holds):
        async with asyncio.timeout(60):
            while not holds():
                await asyncio.sleep(0.01)

    return wait
