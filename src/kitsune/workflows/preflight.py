"""Asking servers whether they are there and can run the plan, before anything is touched."""

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from temporalio import exceptions, workflow
from temporalio.common import RetryPolicy
from temporalio.workflow import ActivityCancellationType, ActivityHandle

from kitsune import names
from kitsune.models.problems import Problem
from kitsune.models.requests import PreflightReport, PreflightRequest
from kitsune.models.results import ServerStatus
from kitsune.workflows.state import RolloutState

#: How long a server that may be left out has for picking the question up.
_ASK_FOR = timedelta(seconds=10)
#: How long a server may take to answer once it has picked the question up.
_ANSWER_WITHIN = timedelta(seconds=30)
#: An answer older than this is asked for again before its batch starts.
_FRESH_FOR = timedelta(minutes=1)
#: Pause before a server that failed to answer properly is asked again.
_PAUSE = timedelta(seconds=1)
_LONGEST_PAUSE = timedelta(minutes=1)
#: How long one question waits for an agent that is waited for patiently.
_ONE_QUESTION = timedelta(days=1)
_NOT_TAKEN = exceptions.TimeoutType.SCHEDULE_TO_START
_SERVERS_NAMED = 5


@dataclass
class Preflight:
    """Asks servers and notes who is away; what they find wrong is kept in `problems`."""

    state: RolloutState
    problems: list[Problem] = field(default_factory=list)
    missing: dict[str, list[str]] = field(default_factory=dict)
    found: dict[Problem, list[str]] = field(default_factory=dict)
    _asking: dict[str, ActivityHandle[Any]] = field(default_factory=dict)

    async def ask_all(self) -> None:
        """Ask every server, with the steps."""
        await self._ask(self.state.plan.servers, with_steps=True)

    def conclude(self) -> list[Problem]:
        """Return why the plan is refused, if it is."""
        for step_type, servers in sorted(self.missing.items()):
            index = next(step.index for step in self.state.steps if step.type == step_type)
            self.problems.append(
                Problem(
                    path=f"steps[{index}].type",
                    value=repr(step_type),
                    message=f"unknown step type {step_type!r} on {self._named(servers)}: "
                    "install its handler there and restart the local worker, or use one that is known",
                )
            )
        for problem, servers in self.found.items():
            text = f"on {self._named(servers)}: {problem.message}"
            self.problems.append(problem.model_copy(update={"message": text}))
        return self.problems

    async def ask_again(self, servers: Sequence[str]) -> None:
        """Ask those servers of a batch whose last answer is old."""
        old = [
            server
            for server in servers
            if server not in self.state.ledger.statuses
            and server not in self.state.absent
            and workflow.now() - self.state.asked_at[server] > _FRESH_FOR
        ]
        await self._ask(old, with_steps=False)

    async def await_back(self, server: str) -> bool:
        """Wait for a server that did not answer, as long as the plan says; return whether it is back."""
        state = self.state
        ends = state.clock.elapsed(workflow.now()) + state.plan.unreachable.patience
        pause = _PAUSE
        while not state.stopped:
            left = ends - state.clock.elapsed(workflow.now())
            if left < _PAUSE:
                return False
            if (
                await self._ask_once(server, within=min(left, _ONE_QUESTION), with_steps=True)
                is None
            ):
                state.absent.discard(server)
                state.asked_at[server] = workflow.now()
                return True
            await workflow.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
        return False

    async def await_undoable(self, server: str, *, until: datetime) -> bool:
        """Wait for a server that has to be rolled back; a stop or an abort does not end this."""
        pause = _PAUSE
        while (left := until - workflow.now()) >= _PAUSE:
            silence = await self._ask_once(server, within=left, with_steps=False, yields=False)
            if silence is None:
                return True
            await workflow.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
        return False

    def objections(self, server: str) -> str | None:
        """Return what a server finds wrong with the plan, or None."""
        texts = [
            f"unknown step type {step_type!r}"
            for step_type, servers in self.missing.items()
            if server in servers
        ]
        texts += [problem.text for problem, servers in self.found.items() if server in servers]
        return f"it cannot run the plan: {'; '.join(texts)}" if texts else None

    def cancel(self) -> None:
        """Stop asking: the rollout has been told to stop."""
        for handle in list(self._asking.values()):
            handle.cancel()

    async def _ask(self, servers: Sequence[str], *, with_steps: bool) -> None:
        gate = asyncio.Semaphore(self.state.starts_at_once)
        await asyncio.gather(
            *(self._settle(server, gate, with_steps=with_steps) for server in servers)
        )

    async def _settle(self, server: str, gate: asyncio.Semaphore, *, with_steps: bool) -> None:
        """Ask one server until it answers or its time is up; a question waits for an agent that comes back."""
        policy = self.state.plan.unreachable
        patience = policy.patience if policy.policy == "fail" else min(policy.patience, _ASK_FOR)
        async with gate:
            deadline = workflow.now() + patience
            left, silence = patience, "it was never asked"
            while self.state.abort is None:
                seen = await self._ask_once(server, within=left, with_steps=with_steps)
                if seen is None:
                    self.state.asked_at[server] = workflow.now()
                    return
                silence = seen
                left = deadline - workflow.now() - _PAUSE
                if left < _PAUSE:
                    break
                await workflow.sleep(_PAUSE)
        if self.state.abort is None:
            self._give_up(server, silence)

    async def _ask_once(
        self, server: str, *, within: timedelta, with_steps: bool, yields: bool = True
    ) -> str | None:
        """Ask once; return None for an answer, else what was seen instead."""
        request = PreflightRequest(
            rollout_id=self.state.rollout_id,
            server_id=server,
            steps=self.state.steps if with_steps and not self.state.reference else [],
            plan=self.state.reference if with_steps else None,
        )
        handle = workflow.start_activity(
            names.PREFLIGHT,
            request,
            task_queue=names.server_queue(server),
            schedule_to_start_timeout=within,
            start_to_close_timeout=_ANSWER_WITHIN,
            retry_policy=RetryPolicy(maximum_attempts=1),
            cancellation_type=ActivityCancellationType.TRY_CANCEL,
            summary=f"is {server} there?"[:200],
        )
        if yields:
            self._asking[server] = handle
        try:
            report = PreflightReport.model_validate(await handle)
        except exceptions.ActivityError as error:
            return self._silence(server, error)
        except ValueError:
            return "its local worker answered nonsense: is it one of Kitsune's?"
        finally:
            self._asking.pop(server, None)
        self._note(server, report)
        return None

    def _silence(self, server: str, error: exceptions.ActivityError) -> str | None:
        cause = error.cause
        if isinstance(cause, exceptions.ApplicationError):
            if (
                cause.type == "NotFoundError"
            ):  # the SDK's word for an activity type that a worker lacks
                self.state.warnings.append(
                    f"{server}: its local worker is of an older kind that cannot be asked before the start"
                )
            else:
                self.problems.append(Problem(message=f"{server} cannot be asked: {cause.message}"))
            return None
        if isinstance(cause, exceptions.TimeoutError) and cause.type is _NOT_TAKEN:
            return "no local worker answered"
        return f"its local worker took the question and did not answer ({type(cause).__name__})"

    def _note(self, server: str, report: PreflightReport) -> None:
        for step_type in report.missing_types:
            self.missing.setdefault(step_type, []).append(server)
        for problem in report.problems:
            self.found.setdefault(problem, []).append(server)

    def _named(self, servers: Collection[str]) -> str:
        """Return servers in the plan's order, the first few by name."""
        ordered = [server for server in self.state.plan.servers if server in servers]
        more = len(ordered) - _SERVERS_NAMED
        return ", ".join(ordered[:_SERVERS_NAMED]) + (f" and {more} more" if more > 0 else "")

    def _give_up(self, server: str, silence: str) -> None:
        policy = self.state.plan.unreachable.policy
        if policy == "wait":
            self.state.absent.add(server)
            return
        status = ServerStatus.SKIPPED if policy == "skip" else ServerStatus.UNREACHABLE
        self.state.end_without_work(server, status, silent(server, silence))


def silent(server: str, silence: str = "no local worker answered") -> str:
    """Return that a server did not answer, and what to look at."""
    advice = f"is `kitsune local-worker --server-id {server}` running there?"
    return f"{silence} on task queue {server!r}: {advice}"
