"""A state machine that throws random faults at a world of real processes, and asks the oracle after each round.

Hypothesis chooses rules and their values from a seed; none of its choices depends on what processes do with their
time, so the same seed makes the same choices. A round is one of its examples: some faults, then everything is
healed, every rollout has to end, and every invariant has to hold.
"""

import contextlib
import os
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field

import hypothesis
from hypothesis import HealthCheck, Phase
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test
from temporalio.client import WorkflowFailureError, WorkflowUpdateFailedError
from temporalio.service import RPCError

from faults.harness import World, until
from faults.oracle import check_invariants, journal_of
from kitsune import names
from kitsune.models.progress import Progress

WHO = {"actor": "random faults", "reason": "a rule of the machine"}
#: Longer than any outage that the machine makes.
_PATIENT = {"policy": "fail", "timeout": "5m"}
_LONGEST_WAIT = 240
_MOST_OPEN = 4
_LOG_LINES = 30
_STRATEGIES = (
    {"type": "Parallel"},
    {"type": "Sequential"},
    {"type": "Rolling", "batchSize": 2},
    {"type": "Canary", "maxConcurrency": 2},
    {"type": "Rolling", "onFailure": "ask"},
)
_WHICH = st.integers(0, 2**16)
_PLANS = st.fixed_dictionaries(
    {
        "order": st.permutations(range(8)),
        "count": st.integers(1, 8),
        "naps": st.lists(st.sampled_from([0, 0.3, 1, 2.5]), min_size=1, max_size=4),
        "breaks": st.sampled_from([None, None, None, None, 0, 1, 2]),
        "strategy": st.sampled_from(_STRATEGIES),
        "maxFailures": st.sampled_from([0, 1, -1]),
        "scope": st.sampled_from(["none", "server", "fleet"]),
    }
)


@dataclass
class Siege:
    """A world under random faults, over all rounds.

    Attributes:
        gentle: Spare the processes: only rollouts, orders, partitions and full disks.
        failures: What broke; nothing more is done once there is something.
    """

    world: World
    agents: int
    say: Callable[[str], None] = print
    gentle: bool = False
    faults: int = 0
    checked: int = 0
    failures: list[str] = field(default_factory=list)
    ends_at: float = float("inf")

    def __post_init__(self):
        self.isolated = os.geteuid() == 0
        isolation = {"network": True, "disk": "24m"} if self.isolated else {}
        self.servers = [self.world.add(f"s{n}", **isolation) for n in range(self.agents)]

    @property
    def over(self):
        return bool(self.failures) or time.monotonic() > self.ends_at

    def throw(self, *, seed, rounds, actions):
        """Throw faults, so many actions a round, until something breaks or the time is over.

        Raises:
            AssertionError: An invariant was broken, or something did not end.
        """
        settings = hypothesis.settings(
            max_examples=rounds + 1,
            stateful_step_count=actions,
            deadline=None,
            database=None,
            phases=[Phase.generate],  # the world cannot be put back, so nothing can be tried again
            suppress_health_check=list(HealthCheck),
        )
        # Hypothesis begins with the simplest example of all, the same one whatever the seed: a round without faults.
        machine = hypothesis.seed(seed)(type("Round", (RandomFaults,), {"siege": self, "done": -1}))
        run_state_machine_as_test(machine, settings=settings)
        assert not self.failures, "\n".join(self.failures)

    @contextlib.contextmanager
    def guarded(self, what):
        """Note what breaks; let Hypothesis go on, for it would try the same again."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - whatever it is, it is what was looked for
            self.say(f"BROKEN: {what}: {error}")
            trace = traceback.format_exc(limit=-3)
            self.failures.append(f"{what}: {error}\n{trace}{self._last_words()}")

    def heal(self, rollouts):
        """Bring everything back, and let every rollout go on."""
        world = self.world
        if not world.temporal.alive:
            world.temporal.start()
        until(self._answers, "Temporal answers")
        if not world.orchestrator.alive:
            world.orchestrator.start()
        for server in self.servers:
            if self.isolated:
                server.mend()
                filler_of(server).unlink(missing_ok=True)
            if not server.alive:
                server.start()
        for rollout in rollouts:
            self.order(rollout, names.RESUME)

    def conclude(self, rollout, *, aborted):
        """Wait for a rollout's end and ask the oracle."""
        until(lambda: self._has_ended(rollout), f"{rollout.id} ends", patience=_LONGEST_WAIT)
        servers = [server for server in self.servers if server.id in rollout.servers]
        # What an abort gave up is ended once its agent has seen that nobody waits for it.
        until(lambda: not self._open_rows(rollout, servers), f"no step of {rollout.id} is open")
        self.checked += 1
        if self._was_refused(rollout):
            assert not self.world.ledger(rollout.id), (
                f"{rollout.id} was refused and touched servers"
            )
            return
        check_invariants(self.world, rollout.handle, may_be_unknown=servers if aborted else ())

    def order(self, rollout, verb, **given):
        # As a signal: nobody has to be there to take it. A rollout that is over does not listen.
        with contextlib.suppress(RPCError, WorkflowUpdateFailedError):
            self.world.call(rollout.handle.signal(verb, WHO | given))

    def decide(self, rollout, verb):
        """Say what becomes of the servers that a rollout holds for a decision."""
        with contextlib.suppress(RPCError, TimeoutError):
            query = rollout.handle.query(names.QUERY_PROGRESS, result_type=Progress)
            seen = self.world.call(query, patience=5)
            for server in seen.servers:
                if server.state == "held":
                    self.order(rollout, verb, serverId=server.server_id)

    def _has_ended(self, rollout):
        self.decide(rollout, names.SKIP)
        with contextlib.suppress(RPCError):
            return self.world.call(rollout.handle.describe()).status.name != "RUNNING"

    def _was_refused(self, rollout):
        """Return whether the preflight has met a full disk."""
        try:
            self.world.end_of(rollout.handle)
        except WorkflowFailureError as error:
            cause = error.cause
            if getattr(cause, "type", "") != names.FAILURE_INVALID_PLAN or "free space" not in str(
                cause
            ):
                raise
            return True
        return False

    def _open_rows(self, rollout, servers):
        rows = [row for server in servers for row in journal_of(server, rollout.id) or ()]
        return [row for row in rows if row["state"] == "started"]

    def _answers(self):
        with contextlib.suppress(RPCError):
            return self.world.call(self.world.client.service_client.check_health())

    def _last_words(self):
        told = []
        for process in (self.world.orchestrator, *self.servers):
            if process.log.exists():
                lines = process.log.read_text(errors="replace").splitlines()[-_LOG_LINES:]
                told += [f"--- {process.name}", *(line[:300] for line in lines)]
        return "\n".join(told)


class RandomFaults(RuleBasedStateMachine):
    """One round; its rules act on the siege, whatever is up or down there."""

    siege: Siege
    done: int

    def __init__(self):
        super().__init__()
        self.rollouts = []
        self.aborted = set()
        self.idle = type(self).done < 0
        type(self).done += 1

    def act(self, what, action, *, harm=0):
        siege = self.siege
        if self.idle or siege.over or (harm and siege.gentle):
            return
        siege.say(f"{siege.world.prefix} {what}")
        siege.faults += harm
        with siege.guarded(what):
            action()
            time.sleep(0.2)

    def server(self, which):
        return self.siege.servers[which % len(self.siege.servers)]

    def rollout(self, which, what, action):
        if self.rollouts:
            chosen = self.rollouts[which % len(self.rollouts)]
            self.act(f"{what} {chosen.id}", lambda: action(chosen))

    @initialize(plan=_PLANS)
    def start_the_first_rollout(self, plan):
        self.start(plan)

    @rule(plan=_PLANS)
    def start_another_rollout(self, plan):
        self.start(plan)

    def start(self, plan):
        world, servers = self.siege.world, self.siege.servers

        def start():
            if len(self.rollouts) >= _MOST_OPEN or not world.temporal.alive:
                return
            chosen = [servers[n] for n in plan["order"] if n < len(servers)][: plan["count"]]
            steps = [
                world.step(
                    f"step-{n}", f"sleep {nap}; echo {n}" + "; exit 3" * (n == plan["breaks"])
                )
                for n, nap in enumerate(plan["naps"])
            ]
            handle = world.start(
                chosen,
                steps,
                rolloutStrategy={**plan["strategy"], "maxFailures": plan["maxFailures"]},
                rollback={"scope": plan["scope"]},
                heartbeatTimeout=4,
                unreachable=_PATIENT,
            )
            self.rollouts.append(Rollout(handle, {server.id for server in chosen}))

        self.act(f"start a rollout: {plan['strategy']['type']}, {len(plan['naps'])} steps", start)

    @rule(seconds=st.sampled_from([0.5, 1, 2, 4]))
    def wait(self, seconds):
        self.act(f"wait {seconds} s", lambda: time.sleep(seconds))

    @rule(which=_WHICH, rollback=st.booleans())
    def abort(self, which, rollback):
        def abort(rollout):
            self.aborted.add(rollout.id)
            self.siege.order(rollout, names.ABORT, rollback=rollback)

        self.rollout(which, "abort", abort)

    @rule(which=_WHICH, drain=st.booleans())
    def pause(self, which, drain):
        self.rollout(which, "pause", lambda one: self.siege.order(one, names.PAUSE, drain=drain))

    @rule(which=_WHICH)
    def resume(self, which):
        self.rollout(which, "resume", lambda one: self.siege.order(one, names.RESUME))

    @rule(which=_WHICH, verb=st.sampled_from([names.RETRY, names.SKIP, names.ROLLBACK]))
    def decide(self, which, verb):
        self.rollout(which, f"{verb} what is held by", lambda one: self.siege.decide(one, verb))

    @rule(which=_WHICH)
    def cut_a_server_off(self, which):
        server = self.server(which)
        if self.siege.isolated:
            self.act(f"cut {server.name} off", server.cut)

    @rule()
    def mend_the_network(self):
        if self.siege.isolated:
            self.act("mend the network", lambda: [one.mend() for one in self.siege.servers])

    @rule(which=_WHICH)
    def fill_a_disk(self, which):
        server = self.server(which)
        if self.siege.isolated:
            self.act(f"fill the disk of {server.name}", lambda: fill(server))

    @rule()
    def make_room(self):
        def make_room():
            for server in self.siege.servers:
                filler_of(server).unlink(missing_ok=True)

        if self.siege.isolated:
            self.act("make room on every disk", make_room)

    @rule(which=_WHICH, stopped=st.booleans())
    def end_an_agent(self, which, stopped):
        server = self.server(which)
        how = "stop" if stopped else "kill"
        self.act(f"{how} {server.name}", server.end if stopped else server.kill, harm=1)

    @rule(which=_WHICH, seconds=st.sampled_from([1, 6]))
    def freeze_an_agent(self, which, seconds):
        server = self.server(which)
        if server.alive or self.idle:
            self.act(f"freeze {server.name} for {seconds} s", lambda: server.freeze(seconds))

    @rule()
    def bring_agents_back(self):
        def bring_back():
            for server in self.siege.servers:
                if not server.alive:
                    server.start()

        self.act("bring agents back", bring_back)

    @rule()
    def kill_the_orchestrator(self):
        def restart():
            self.siege.world.orchestrator.kill()
            self.siege.world.orchestrator.start()

        self.act("kill the orchestrator", restart, harm=1)

    @rule(seconds=st.sampled_from([0, 2, 5]))
    def kill_temporal(self, seconds):
        def restart():
            self.siege.world.temporal.kill()
            time.sleep(seconds)
            self.siege.world.temporal.start()
            until(self.siege._answers, "Temporal answers")

        self.act(f"kill Temporal for {seconds} s", restart, harm=1)

    def teardown(self):
        if self.idle or not self.rollouts or self.siege.failures:
            return
        with self.siege.guarded("at the end of a round"):
            self.siege.heal(self.rollouts)
            for rollout in self.rollouts:
                self.siege.conclude(rollout, aborted=rollout.id in self.aborted)


@dataclass(frozen=True)
class Rollout:
    """A rollout that was started in this round."""

    handle: object
    servers: set[str]

    @property
    def id(self):
        return self.handle.id


def filler_of(server):
    return server.state / "filler"


def fill(server):
    """Write until nothing fits any more."""
    with contextlib.suppress(OSError), filler_of(server).open("ab", buffering=0) as file:
        for size in (1 << 20, 4096):
            with contextlib.suppress(OSError):
                while True:
                    file.write(b"x" * size)
