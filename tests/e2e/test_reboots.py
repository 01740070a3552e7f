"""A real local worker on a host whose boot id is ours to change: in a mount namespace, over the kernel's own."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import uuid

import pytest
from temporalio.client import WorkflowFailureError

from kitsune import names
from kitsune.embedded.local_fleet import LocalFleet
from kitsune.models.results import RolloutResult
from support.bench import connect

pytestmark = pytest.mark.e2e

#: A namespace of processes too: its first process takes all others along, as a host does.
_UNSHARE = ["unshare", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child", "sh", "-c"]
_BOOT = 'mount --bind "$0" /proc/sys/kernel/random/boot_id && exec "$@"'


class Host:
    """A host that runs one local worker; "to restart" kills all of it, and gives it another boot id."""

    def __init__(self, folder, address):
        self._folder, self._address = folder, address
        self._running = None
        self.asked = folder / "asked"
        self.boots = []

    def boot(self, boot_id=None):
        self.boots.append(boot_id or str(uuid.uuid4()))
        shown = self._folder / f"boot-{len(self.boots)}"
        shown.write_text(self.boots[-1] + "\n")
        command = [sys.executable, "-m", "kitsune", "local-worker", "--server-id", "web-1"]
        with (self._folder / "log").open("ab") as log:
            self._running = subprocess.Popen(
                [*_UNSHARE, _BOOT, shown, *command],
                env={
                    **os.environ,
                    "TEMPORAL_ADDRESS": self._address,
                    "KITSUNE_STATE_DIR": str(self._folder / "state"),
                    "KITSUNE_REBOOT_COMMAND": f"sh -c 'echo asked >> {self.asked}'",
                },
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def go_down(self):
        """End every process of the host at once."""
        if self._running is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._running.pid, signal.SIGKILL)
            self._running.wait()

    @property
    def times_asked(self):
        return len(self.asked.read_text().split()) if self.asked.exists() else 0

    @property
    def log(self):
        return (self._folder / "log").read_text()


@pytest.fixture
async def host(tmp_path):
    if os.geteuid() != 0:
        pytest.skip("only root may change what a mount namespace shows")
    probe = [*_UNSHARE, _BOOT, "/etc/hostname", "true"]
    if (done := subprocess.run(probe, capture_output=True, check=False)).returncode != 0:
        pytest.skip(f"no namespaces here: {done.stderr.decode().strip()}")
    async with LocalFleet(state=tmp_path / "fleet", servers=["other"], in_memory=True) as fleet:
        host = Host(tmp_path, fleet.address)
        host.client = await connect(fleet.address)
        host.boot()
        yield host
        host.go_down()


async def until(condition):
    async with asyncio.timeout(90):
        while not condition():
            await asyncio.sleep(0.05)


async def start(host, *steps):
    plan = {
        "servers": ["web-1"],
        "steps": list(steps),
        "heartbeatTimeout": 3,
        "unreachable": {"timeout": 30},
    }
    return await host.client.start_workflow(
        names.ORCHESTRATION_WORKFLOW,
        plan,
        id="rollout",
        task_queue=names.ORCHESTRATOR_QUEUE,
        result_type=RolloutResult,
    )


async def test_a_host_that_comes_back_with_another_boot_id_has_succeeded(host):
    after = {"name": "after", "type": "echo", "params": {"message": "back"}}
    handle = await start(host, {"name": "restart", "type": "reboot"}, after)
    await until(lambda: host.times_asked)
    host.go_down()
    host.boot()
    result = await handle.result()
    restart = result.results[0].steps_executed[0]
    assert restart.success, restart.error
    assert restart.outputs["bootIdBefore"] == host.boots[0]
    assert restart.outputs["bootIdAfter"] == host.boots[1]
    assert (host.times_asked, restart.executions) == (1, 1)


async def test_a_local_worker_that_only_restarts_itself_asks_nobody_again(host):
    handle = await start(host, {"name": "restart", "type": "reboot", "timeout": 25})
    await until(lambda: host.times_asked)
    host.go_down()
    host.boot(host.boots[0])
    with pytest.raises(WorkflowFailureError) as failed:
        await handle.result()
    result = RolloutResult.model_validate(failed.value.cause.details[0])
    assert "asked to restart, but the host is still up after" in result.results[0].error
    assert host.times_asked == 1


async def test_a_script_that_asks_for_a_restart_runs_again_in_the_same_execution(host, tmp_path):
    ledger = tmp_path / "ledger"
    text = f'echo "$KITSUNE_REBOOTS $KITSUNE_ATTEMPT" >> {ledger}\n[ "$KITSUNE_REBOOTS" = 1 ] || exit 194\necho done'
    handle = await start(host, {"name": "upgrade", "type": "script", "params": {"inline": text}})
    await until(lambda: host.times_asked)
    host.go_down()
    host.boot()
    step = (await handle.result()).results[0].steps_executed[0]
    assert step.success, step.error
    assert ledger.read_text() == "0 1\n1 1\n"
    assert (step.outputs["reboots"], step.executions, host.times_asked) == (1, 1, 1)
    assert step.outputs["stdout"]["text"] == "done\n"
