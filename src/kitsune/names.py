"""Every string that crosses a process, written by hand once; `tests/guard` freezes them."""

from typing import Final

#: Task queue of the orchestration worker.
ORCHESTRATOR_QUEUE: Final = "execution-orchestrator"

# Workflow types.
ORCHESTRATION_WORKFLOW: Final = "OrchestrationWorkflow"
SERVER_EXECUTION_WORKFLOW: Final = "ServerExecutionWorkflow"
SERVER_ROLLBACK_WORKFLOW: Final = "ServerRollbackWorkflow"
SHARD_WORKFLOW: Final = "ShardWorkflow"
WEBHOOK_WORKFLOW: Final = "WebhookWorkflow"

# Activity types on a server's queue.
EXECUTE_STEP: Final = "ExecuteStep"
ROLLBACK_STEP: Final = "RollbackStep"
PREFLIGHT: Final = "Preflight"
LOAD_STEPS: Final = "LoadSteps"
LIST_LOGS: Final = "ListLogs"
READ_LOG: Final = "ReadLog"
CHECK_STEP: Final = "CheckStep"

# Activity types on the orchestrator's queue.
VALIDATE_PLAN: Final = "ValidatePlan"
WATCH_SERVERS: Final = "WatchServers"
AWAIT_SERVER_FREE: Final = "AwaitServerFree"
TERMINATE_SERVER: Final = "TerminateServer"
SEND_WEBHOOK: Final = "SendWebhook"

# Messages that an OrchestrationWorkflow answers. All but the query are an update and a signal each.
QUERY_PROGRESS: Final = "progress"
PAUSE: Final = "pause"
RESUME: Final = "resume"
APPROVE: Final = "approve"
ABORT: Final = "abort"
RETRY: Final = "retry"
SKIP: Final = "skip"
ROLLBACK: Final = "rollback"
SET: Final = "set"

# Signals between a rollout and the workflows of its servers. `pause` and `resume` go down as well.
DECIDE: Final = "decide"
SERVER_HELD: Final = "serverHeld"

# Signals between a large rollout and its shards.
SHARD_GO: Final = "shardGo"
SHARD_STOP: Final = "shardStop"
SHARD_HOLD: Final = "shardHold"
SHARD_DECIDE: Final = "shardDecide"
SHARD_CONCLUDE: Final = "shardConclude"
SHARD_REPORT: Final = "shardReport"

# Types of the application failures that end our workflows and activities.
FAILURE_INVALID_PLAN: Final = "InvalidPlan"
FAILURE_ROLLOUT_STOPPED: Final = "RolloutStopped"
FAILURE_ROLLOUT_ABORTED: Final = "RolloutAborted"
FAILURE_SERVER_FAILED: Final = "ServerFailed"
FAILURE_SERVER_CANCELLED: Final = "ServerCancelled"
FAILURE_ROLLBACK_FAILED: Final = "RollbackFailed"
FAILURE_STEP_FAILED: Final = "StepFailed"
FAILURE_WEBHOOK_FAILED: Final = "WebhookFailed"

#: Memo key of a rollout: its name, state and counts, readable without any worker.
MEMO_ROLLOUT: Final = "kitsune"
#: Memo key of a rollout that follows another one: which one, and by which command.
MEMO_ORIGIN: Final = "kitsuneOrigin"
#: Memo key of a rollout: who started it.
MEMO_STARTED_BY: Final = "kitsuneStartedBy"

#: Step type that the workflow itself runs, as a durable timer.
STEP_SLEEP: Final = "sleep"

#: Entry-point group through which step handlers are found.
HANDLER_GROUP: Final = "kitsune.handlers"

#: Default address of a Temporal frontend.
DEFAULT_ADDRESS: Final = "localhost:7233"

# Environment.
ENV_SERVER_ID: Final = "SERVER_ID"
ENV_STATE_DIR: Final = "KITSUNE_STATE_DIR"
ENV_UNDO_RETENTION: Final = "KITSUNE_UNDO_RETENTION"
ENV_OUTPUT_LIMIT: Final = "KITSUNE_OUTPUT_LIMIT"
ENV_REBOOT_COMMAND: Final = "KITSUNE_REBOOT_COMMAND"
ENV_WEBHOOKS: Final = "KITSUNE_WEBHOOKS"
ENV_TRACEPARENT: Final = "TRACEPARENT"
ENV_METRICS_ADDRESS: Final = "KITSUNE_METRICS_ADDRESS"
ENV_FAILPOINTS: Final = "KITSUNE_FAILPOINTS"
#: Beginning of the variables of the dashboard; the name of a setting follows.
ENV_DASHBOARD_PREFIX: Final = "KITSUNE_DASHBOARD_"

# What scripts see.
ENV_ROLLOUT_ID: Final = "KITSUNE_ROLLOUT_ID"
ENV_SCRIPT_SERVER_ID: Final = "KITSUNE_SERVER_ID"
ENV_STEP: Final = "KITSUNE_STEP"
ENV_ATTEMPT: Final = "KITSUNE_ATTEMPT"
ENV_REBOOTS: Final = "KITSUNE_REBOOTS"
#: Marks every process of one execution, so that its whole tree can be found and ended.
ENV_OPERATION: Final = "KITSUNE_OPERATION"


def server_queue(server_id: str) -> str:
    """Return the task queue of a server."""
    return server_id


def server_execution_id(server_id: str) -> str:
    """Return the workflow id that holds a server: Temporal allows one running workflow per id."""
    return f"exec-{server_id}"


def webhook_id(notice_id: str, webhook: str) -> str:
    """Return the workflow id of one message to one receiver; it never begins like one that holds a server."""
    return f"webhook-{notice_id}-{webhook}"
