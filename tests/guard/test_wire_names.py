"""What crosses a process never changes its name: old agents meet new orchestrators, and people write scripts."""

import pytest

from kitsune import names
from kitsune.models.plan import (
    Busy,
    Plan,
    RetryPolicy,
    Rollback,
    RollbackOf,
    RolloutStrategy,
    Step,
    Unreachable,
)
from kitsune.models.results import (
    RolloutResult,
    RolloutStatus,
    ServerResult,
    ServerStatus,
    StepOutcome,
)

# Written out by hand: a change here is a change of the contract. Add, never rename.
NAMES = {
    "ORCHESTRATOR_QUEUE": "execution-orchestrator",
    "ORCHESTRATION_WORKFLOW": "OrchestrationWorkflow",
    "SERVER_EXECUTION_WORKFLOW": "ServerExecutionWorkflow",
    "SERVER_ROLLBACK_WORKFLOW": "ServerRollbackWorkflow",
    "SHARD_WORKFLOW": "ShardWorkflow",
    "WEBHOOK_WORKFLOW": "WebhookWorkflow",
    "EXECUTE_STEP": "ExecuteStep",
    "ROLLBACK_STEP": "RollbackStep",
    "PREFLIGHT": "Preflight",
    "LOAD_STEPS": "LoadSteps",
    "LIST_LOGS": "ListLogs",
    "READ_LOG": "ReadLog",
    "CHECK_STEP": "CheckStep",
    "VALIDATE_PLAN": "ValidatePlan",
    "WATCH_SERVERS": "WatchServers",
    "AWAIT_SERVER_FREE": "AwaitServerFree",
    "TERMINATE_SERVER": "TerminateServer",
    "SEND_WEBHOOK": "SendWebhook",
    "QUERY_PROGRESS": "progress",
    "PAUSE": "pause",
    "RESUME": "resume",
    "APPROVE": "approve",
    "ABORT": "abort",
    "RETRY": "retry",
    "SKIP": "skip",
    "ROLLBACK": "rollback",
    "SET": "set",
    "DECIDE": "decide",
    "SERVER_HELD": "serverHeld",
    "SHARD_GO": "shardGo",
    "SHARD_STOP": "shardStop",
    "SHARD_HOLD": "shardHold",
    "SHARD_DECIDE": "shardDecide",
    "SHARD_CONCLUDE": "shardConclude",
    "SHARD_REPORT": "shardReport",
    "FAILURE_INVALID_PLAN": "InvalidPlan",
    "FAILURE_ROLLOUT_STOPPED": "RolloutStopped",
    "FAILURE_ROLLOUT_ABORTED": "RolloutAborted",
    "FAILURE_SERVER_FAILED": "ServerFailed",
    "FAILURE_SERVER_CANCELLED": "ServerCancelled",
    "FAILURE_ROLLBACK_FAILED": "RollbackFailed",
    "FAILURE_STEP_FAILED": "StepFailed",
    "FAILURE_WEBHOOK_FAILED": "WebhookFailed",
    "MEMO_ROLLOUT": "kitsune",
    "MEMO_ORIGIN": "kitsuneOrigin",
    "MEMO_STARTED_BY": "kitsuneStartedBy",
    "STEP_SLEEP": "sleep",
    "HANDLER_GROUP": "kitsune.handlers",
    "DEFAULT_ADDRESS": "localhost:7233",
    "ENV_SERVER_ID": "SERVER_ID",
    "ENV_STATE_DIR": "KITSUNE_STATE_DIR",
    "ENV_UNDO_RETENTION": "KITSUNE_UNDO_RETENTION",
    "ENV_OUTPUT_LIMIT": "KITSUNE_OUTPUT_LIMIT",
    "ENV_REBOOT_COMMAND": "KITSUNE_REBOOT_COMMAND",
    "ENV_WEBHOOKS": "KITSUNE_WEBHOOKS",
    "ENV_TRACEPARENT": "TRACEPARENT",
    "ENV_METRICS_ADDRESS": "KITSUNE_METRICS_ADDRESS",
    "ENV_FAILPOINTS": "KITSUNE_FAILPOINTS",
    "ENV_DASHBOARD_PREFIX": "KITSUNE_DASHBOARD_",
    "ENV_REBOOTS": "KITSUNE_REBOOTS",
    "ENV_ROLLOUT_ID": "KITSUNE_ROLLOUT_ID",
    "ENV_SCRIPT_SERVER_ID": "KITSUNE_SERVER_ID",
    "ENV_STEP": "KITSUNE_STEP",
    "ENV_ATTEMPT": "KITSUNE_ATTEMPT",
    "ENV_OPERATION": "KITSUNE_OPERATION",
}

PLAN_KEYS = {
    Plan: "$schema name servers steps rolloutStrategy retryPolicy stepTimeout heartbeatTimeout rollback unreachable busy "
    "deadline startAt rollbackOf",
    Step: "name type params required continueOnFailure timeout retryPolicy",
    RolloutStrategy: "type batchSize batchDelaySeconds canaryPercentage canarySoakSeconds maxConcurrency maxFailures onStop "
    "onFailure approval approvalTimeout progressDeadline",
    RetryPolicy: "initialInterval backoffCoefficient maximumInterval maximumAttempts",
    Rollback: "scope maxConcurrency deadline",
    RollbackOf: "rolloutId runId force generation begun generations",
    Unreachable: "policy timeout maxUnreachable",
    Busy: "policy timeout",
}

RESULT_KEYS = {
    RolloutResult: "success serversPatched serversFailed results rolloutId name status reason actor counts rolledBack "
    "rollbackFailed rollbackPending startedAt endedAt resultsOmitted warnings orders rollbackOf",
    ServerResult: "serverId success error stepsExecuted status rolledBack rollbackFailed batch startedAt endedAt outputsTruncated "
    "rollbackPending",
    StepOutcome: "name success error type index status executions deliveries startedAt endedAt outputs undone undoError "
    "generation",
}


def test_every_name_that_crosses_a_process_is_what_it_was():
    found = {name: value for name, value in vars(names).items() if name.isupper()}
    assert found == NAMES


def test_a_server_is_held_by_the_id_of_its_workflow():
    assert names.server_execution_id("web-17") == "exec-web-17"


@pytest.mark.parametrize("model", PLAN_KEYS, ids=lambda model: model.__name__)
def test_a_plan_has_exactly_the_keys_that_it_had(model):
    assert {field.alias or name for name, field in model.model_fields.items()} == set(
        PLAN_KEYS[model].split()
    )


@pytest.mark.parametrize("model", RESULT_KEYS, ids=lambda model: model.__name__)
def test_a_result_has_exactly_the_keys_that_it_had(model):
    assert {field.alias for field in model.model_fields.values()} == set(RESULT_KEYS[model].split())


def test_the_words_for_how_a_server_or_a_rollout_ended_are_what_they_were():
    assert [status.value for status in ServerStatus] == [
        "succeeded", "failed", "unreachable", "unknown", "cancelled", "skipped", "notStarted",
    ]  # fmt: skip
    assert [status.value for status in RolloutStatus] == [
        "succeeded",
        "failed",
        "incomplete",
        "stopped",
        "aborted",
    ]


def test_the_keys_that_a_result_had_from_the_start_come_without_asking():
    result = RolloutResult(
        success=False,
        servers_patched=0,
        servers_failed=1,
        results=[
            ServerResult(
                server_id="a",
                success=False,
                error="x",
                steps_executed=[StepOutcome(name="s", success=False)],
            )
        ],
    ).model_dump(mode="json")
    assert {"success", "serversPatched", "serversFailed", "results"} <= result.keys()
    server = result["results"][0]
    assert {"serverId", "success", "error", "stepsExecuted"} <= server.keys()
    assert {"name", "success", "error"} <= server["stepsExecuted"][0].keys()


def test_strangers_keys_are_ignored_from_processes_and_refused_from_people():
    assert StepOutcome.model_validate({"name": "s", "success": True, "fromTheFuture": 1}).success
    with pytest.raises(ValueError, match="fromTheFuture"):
        Step.model_validate({"name": "s", "type": "echo", "fromTheFuture": 1})
