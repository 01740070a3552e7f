import asyncio
import threading

import pytest

from kitsune.agent.threads import WorkStopped, in_thread


async def test_it_returns_what_the_work_returns():
    assert await in_thread(lambda _stop: threading.current_thread() is not threading.main_thread())


async def test_it_raises_what_the_work_raises():
    def fail(_stop):
        raise LookupError("no")

    with pytest.raises(LookupError, match="no"):
        await in_thread(fail)


async def test_a_cancellation_waits_until_the_work_has_cleaned_up():
    begun, clean_up, cleaned = threading.Event(), threading.Event(), []

    def work(stop):
        begun.set()
        try:
            while True:
                stop.check()
        except WorkStopped:
            clean_up.wait()
            cleaned.append("yes")
            raise

    working = asyncio.create_task(in_thread(work))
    await asyncio.to_thread(begun.wait)
    working.cancel()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    working.cancel()  # an impatient caller changes nothing
    await asyncio.sleep(0)
    assert not working.done()
    clean_up.set()
    with pytest.raises(asyncio.CancelledError):
        await working
    assert cleaned == ["yes"]


async def test_work_that_does_not_look_is_waited_for_too():
    begun, end = threading.Event(), threading.Event()

    def work(_stop):
        begun.set()
        end.wait()
        raise LookupError("an error that nobody waits for any more")

    working = asyncio.create_task(in_thread(work))
    await asyncio.to_thread(begun.wait)
    working.cancel()
    await asyncio.sleep(0)
    end.set()
    with pytest.raises(asyncio.CancelledError):
        await working
