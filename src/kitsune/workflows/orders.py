"""What operators tell a running rollout: refused where it is nonsense, else obeyed, once, and put on record."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ApplicationError

from kitsune import names
from kitsune.models.orders import ApproveOrder, Order, PauseOrder, ServerOrder, SetOrder
from kitsune.models.progress import Phase
from kitsune.models.requests import AbortRequest, Decision
from kitsune.rollout.aborts import merged_aborts
from kitsune.rollout.orders import VERBS, read_order
from kitsune.workflows.runner import Runner
from kitsune.workflows.state import RolloutState

_FAILURE = "OrderRefused"
_EARLY = frozenset({names.ABORT, names.PAUSE, names.RESUME})
_OVER = "the rollout is over: nothing of it can be steered any more"


@dataclass
class Orders:
    """The orders of one rollout; those that come before its plan is accepted are obeyed right after.

    Attributes:
        obey_stop: Ends what runs where the rollout has been stopped.
        tell: Says that something has changed that people see.
    """

    obey_stop: Callable[[], None]
    tell: Callable[[], None]
    _state: RolloutState | None = None
    _runner: Runner | None = None
    _early: list[tuple[str, Order]] = field(default_factory=list)

    def listen(self) -> None:
        """Take every order as an update, which answers, and as a signal for the plain `temporal` command."""
        for verb in VERBS:
            update, signal, check = self._handlers(verb)
            workflow.set_update_handler(verb, update, validator=check)
            workflow.set_signal_handler(verb, signal)

    def begin(self, state: RolloutState, runner: Runner) -> None:
        """Obey from now on; the plan has been accepted."""
        self._state, self._runner = state, runner
        for verb, order in self._early:
            self._obey(verb, order)

    def abort(self, order: AbortRequest) -> str:
        """Start nothing more and cancel what runs; a second call changes nothing but may add the rollback."""
        return self._obey(names.ABORT, order)

    def _handlers(
        self, verb: str
    ) -> tuple[Callable[..., str], Callable[..., None], Callable[..., None]]:
        def update(argument: Any = None) -> str:
            return self._obey(verb, read_order(verb, argument))

        def signal(argument: Any = None) -> None:
            try:
                order = read_order(verb, argument)
                refusal = self._refusal(verb, order)
            except ValueError as error:
                refusal = str(error)
            if refusal is None:
                self._obey(verb, order)
            else:
                workflow.logger.warning("signal %s refused: %s", verb, refusal)

        def check(argument: Any = None) -> None:
            try:
                refusal = self._refusal(verb, read_order(verb, argument))
            except ValueError as error:
                refusal = str(error)
            if refusal is not None:
                raise ApplicationError(refusal, type=_FAILURE, non_retryable=True)

        return update, signal, check

    def _refusal(self, verb: str, order: Order) -> str | None:
        """Return why an order makes no sense now, or None where it does."""
        state = self._state
        if state is None:
            return (
                None if verb in _EARLY else "the rollout has not begun yet: try again in a moment"
            )
        if verb == names.ABORT:
            return None
        return _OVER if state.is_over else _refused_now(state, verb, order)

    def _obey(self, verb: str, order: Order) -> str:
        if self._state is None or self._runner is None:
            self._early.append((verb, order))
            return f"{verb}: on record"
        state, runner = self._state, self._runner
        said = ""
        if isinstance(order, AbortRequest):
            said = self._abort(state, order)
        elif isinstance(order, PauseOrder):
            said = self._pause(state, runner, order)
        elif verb == names.RESUME:
            said = self._resume(state, runner, order)
        elif isinstance(order, ApproveOrder):
            said = self._approve(state, order)
        elif isinstance(order, SetOrder):
            said = self._set(state, runner, order)
        elif isinstance(order, ServerOrder):
            said = self._decide(state, runner, verb, order)
        self.tell()
        return said

    def _abort(self, state: RolloutState, order: AbortRequest) -> str:
        if state.phase is Phase.DONE:
            return "already over"
        if state.abort is not None:
            merged = merged_aborts(state.abort, order)
            if merged == state.abort:
                return "already aborted"
            state.abort = merged
            state.record(names.ABORT, order, "with rollback")
            self._obey_abort(state)
            return "already aborted; now with rollback"
        if state.phase is Phase.ROLLING_BACK and not order.rollback:
            return "already rolling back, which goes on"
        state.abort = order
        state.clock.resume(workflow.now())
        why = f": {order.reason}" if order.reason else ""
        state.ledger.stop(f"aborted by {order.actor}{why}")
        state.record(names.ABORT, order, "with rollback" if order.rollback else "")
        self._obey_abort(state)
        return "aborted"

    def _obey_abort(self, state: RolloutState) -> None:
        if state.phase is not Phase.ROLLING_BACK:
            self.obey_stop()
        elif self._runner is not None:
            self._runner.undo_more()

    def _pause(self, state: RolloutState, runner: Runner, order: PauseOrder) -> str:
        if state.paused and (order.drain or not state.drain):
            return "already paused"
        state.drain = order.drain
        state.clock.pause(workflow.now())
        state.record(names.PAUSE, order, "servers in flight finish" if order.drain else "")
        runner.pause()
        return "paused"

    def _resume(self, state: RolloutState, runner: Runner, order: Order) -> str:
        if not state.paused:
            return "not paused"
        state.clock.resume(workflow.now())
        state.record(names.RESUME, order)
        runner.resume()
        return "resumed"

    def _approve(self, state: RolloutState, order: ApproveOrder) -> str:
        gate = order.gate or ""
        if gate in state.opened:
            return f"already approved {gate}"
        state.opened.add(gate)
        state.record(names.APPROVE, order, gate)
        return f"approved {gate}"

    def _set(self, state: RolloutState, runner: Runner, order: SetOrder) -> str:
        before = state.ledger.strategy
        asked = {"maxFailures": order.max_failures, "maxConcurrency": order.max_concurrency}
        was = {"maxFailures": before.max_failures, "maxConcurrency": before.max_concurrency}
        changes = [
            f"{key} {'all' if was[key] is None else was[key]} -> {value}"
            for key, value in asked.items()
            if value is not None and value != was[key]
        ]
        if not changes:
            return "already so"
        state.ledger.set_limits(
            max_failures=order.max_failures, max_concurrency=order.max_concurrency
        )
        state.record(names.SET, order, ", ".join(changes))
        runner.limits_changed()
        self.obey_stop()
        return f"set {', '.join(changes)}"

    def _decide(self, state: RolloutState, runner: Runner, verb: str, order: ServerOrder) -> str:
        server = order.server_id
        held = state.held.get(server)
        if held is None:
            return f"already told {server}: {verb}"
        state.release_server(server, verb)
        state.record(verb, order, server)
        runner.decide(server, Decision(verb=verb, generation=held.generation))
        return f"{verb} {server}"


def _refused_now(state: RolloutState, verb: str, order: Order) -> str | None:
    if isinstance(order, ServerOrder):
        return _refused_server(state, verb, order.server_id)
    if state.stopped and verb != names.RESUME:  # what runs to its end may still be paused
        return f"the rollout has stopped: {state.ledger.stop_reason}"
    return _refused_gate(state, order.gate) if isinstance(order, ApproveOrder) else None


def _refused_server(state: RolloutState, verb: str, server: str) -> str | None:
    if server in state.held or state.decided.get(server) == verb:
        return None
    if server not in state.plan.servers:
        return f"no server {server!r} in this rollout"
    held = ", ".join(sorted(state.held)[:5])
    return f"{server!r} is not held" + (f": {held} is" if held else ": no server is held")


def _refused_gate(state: RolloutState, gate: str | None) -> str | None:
    if gate and gate in state.opened:
        return None
    if state.gate is None:
        return f"gate {gate!r} is not open, and no other one is" if gate else "no gate is open"
    if gate != state.gate.id:
        wrong = f"gate {gate!r} is not open" if gate else "an approval names its gate"
        return f"{wrong}: {state.gate.id!r} is"
    return None
