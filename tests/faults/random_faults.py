"""A machine that throws random faults at a world, from a seed, and asks the oracle afterwards."""

import contextlib
import os
import random
import signal
import time

from temporalio.client import WorkflowUpdateFailedError
from temporalio.service import RPCError

from faults.harness import World, until
from faults.oracle import check_invariants
from kitsune import names

WHO = {"actor": "random faults", "reason": "a rule of the machine"}
#: Longer than any outage that the machine makes.
_PATIENT = {"policy": "fail", "timeout": "5m"}
_LONGEST_WAIT = 240


class Machine:
    """A world, the faults that may happen in it, and what happened so far.

    Args:
        seed: The same seed makes the same choices; what processes do with their time is their own.

    Attributes:
        gentle: Spare the processes: only rollouts, orders and partitions.
    """

    def __init__(self, world: World, *, seed, agents, say=print):
        self.world, self.random, self.say = world, random.Random(seed), say
        self.network = os.geteuid() == 0
        self.servers = [world.add(f"s{n}", network=self.network) for n in range(agents)]
        self.open, self.checked, self.faults = [], 0, 0
        self.gentle = False

    def round(self, *, actions):
        """Do some random things, heal the world, wait for every rollout and ask the oracle."""
        for _ in range(actions):
            rules = self._gentle_rules() if self.gentle else self._rules()
            rule = self.random.choices(list(rules), weights=list(rules.values()))[0]
            self.say(f"{self.world.prefix} {rule.__name__.strip('_')}")
            rule()
            time.sleep(self.random.uniform(0.1, 1.5))
        self.heal()
        for handle in self.open:
            self.world.end_of(handle, patience=_LONGEST_WAIT)
            check_invariants(self.world, handle)
            self.checked += 1
        self.open.clear()

    def heal(self):
        """Bring everything back."""
        if not self.world.temporal.alive:
            self.world.temporal.start()
        until(self._answers, "Temporal answers")
        if not self.world.orchestrator.alive:
            self.world.orchestrator.start()
        for server in self.servers:
            if self.network:
                server.mend()
            if not server.alive:
                server.start()
        for handle in self.open:
            self._order(handle, "resume")

    def _rules(self):
        # Frequent ones first; a rollout now and then gives the faults something to hit.
        return self._gentle_rules() | {
            self._kill_an_agent: 4,
            self._stop_an_agent: 2,
            self._bring_agents_back: 5,
            self._kill_the_orchestrator: 2,
            self._kill_temporal: 1,
        }

    def _gentle_rules(self):
        rules = {self._start_a_rollout: 6, self._abort_a_rollout: 1}
        if hasattr(names, "PAUSE"):
            rules |= {self._pause_a_rollout: 2, self._resume_a_rollout: 2}
        if self.network:
            rules |= {self._cut_a_server: 2, self._mend_the_servers: 3}
        return rules

    def _start_a_rollout(self):
        if len(self.open) >= 4 or not self.world.temporal.alive:
            return
        count = self.random.randint(1, len(self.servers))
        steps = []
        for number in range(self.random.randint(1, 4)):
            body = f"sleep {self.random.uniform(0, 2):.2f}; echo {number}"
            if self.random.random() < 0.05:
                body += "; exit 3"
            steps.append(self.world.step(f"step-{number}", body))
        strategy = self.random.choice(
            [
                {"type": "Parallel"},
                {"type": "Sequential"},
                {"type": "Rolling", "batchSize": 2},
                {"type": "Canary", "maxConcurrency": 2},
            ]
        )
        handle = self.world.start(
            self.random.sample(self.servers, count),
            steps,
            rolloutStrategy=strategy | {"maxFailures": self.random.choice([0, 1, -1])},
            rollback={"scope": self.random.choice(["none", "server", "fleet"])},
            heartbeatTimeout=4,
            unreachable=_PATIENT,
        )
        self.open.append(handle)

    def _abort_a_rollout(self):
        self._order_one("abort", rollback=self.random.random() < 0.5)

    def _pause_a_rollout(self):
        self._order_one("pause")

    def _resume_a_rollout(self):
        self._order_one("resume")

    def _cut_a_server(self):
        self.faults += 1
        self.random.choice(self.servers).cut()

    def _mend_the_servers(self):
        for server in self.servers:
            server.mend()

    def _kill_an_agent(self):
        self.faults += 1
        self.random.choice(self.servers).kill()

    def _stop_an_agent(self):
        self.faults += 1
        self.random.choice(self.servers).end(signal.SIGTERM)

    def _bring_agents_back(self):
        for server in self.servers:
            if not server.alive:
                server.start()

    def _kill_the_orchestrator(self):
        self.faults += 1
        self.world.orchestrator.kill()
        self.world.orchestrator.start()

    def _kill_temporal(self):
        self.faults += 1
        self.world.temporal.kill()
        time.sleep(self.random.uniform(0, 4))
        self.world.temporal.start()
        until(self._answers, "Temporal answers")

    def _order_one(self, verb, **given):
        if self.open:
            self._order(self.random.choice(self.open), verb, **given)

    def _order(self, handle, verb, **given):
        # As a signal: nobody has to be there to take it. A rollout that is over does not listen.
        if verb == "resume" and not hasattr(names, "PAUSE"):
            return
        with contextlib.suppress(RPCError, WorkflowUpdateFailedError):
            self.world.call(handle.signal(verb, WHO | given))

    def _answers(self):
        with contextlib.suppress(RPCError):
            return self.world.call(self.world.client.service_client.check_health())
