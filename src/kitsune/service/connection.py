"""The way to Temporal: settings from flags, environment and profiles; one try, or patience.

Settings come from `temporalio.envconfig`: `TEMPORAL_ADDRESS`, `TEMPORAL_NAMESPACE`, `TEMPORAL_API_KEY`, `TEMPORAL_TLS_*`,
`TEMPORAL_PROFILE`, `TEMPORAL_CONFIG_FILE` and the `temporal` command's own `temporal.toml`. Flags win.
"""

import asyncio
import getpass
import logging
import os
import random
import re
import socket
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client, Interceptor
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.envconfig import ClientConfigProfile
from temporalio.runtime import Runtime, TelemetryConfig
from temporalio.service import RetryConfig, RPCError

from kitsune.errors import BadSetting, ServerUnavailable
from kitsune.names import DEFAULT_ADDRESS, ENV_TRACEPARENT
from kitsune.service.options import ConnectionOptions
from kitsune.service.trouble import call_trouble, connect_trouble, no_answer
from kitsune.tracing.settings import traces_wanted

#: How long one try may take: with the start of the interpreter, a command answers within five seconds.
ONE_TRY = timedelta(seconds=3.5)
#: How long a command's calls are tried again by themselves: then somebody should be told.
_RETRY_MILLIS = 2_000
_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 15.0
_ADDRESS = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_.-]+):[0-9]{1,5}")
_LONGEST_REASON = 300


@dataclass(frozen=True, kw_only=True)
class Target:
    """Where Temporal is, with everything that was left open filled in.

    Attributes:
        settings: Further arguments of `Client.connect` (TLS, API key, metadata); may hold secrets.
    """

    address: str
    namespace: str
    settings: dict[str, Any]


def find_target(options: ConnectionOptions) -> Target:
    """Return where Temporal is, from flags, environment and profile, in that order.

    Raises:
        ServerUnavailable: The settings cannot be used: no such profile, a broken file, not an address.
    """
    try:
        profile = ClientConfigProfile.load(profile=options.profile)
        settings: dict[str, Any] = dict(profile.to_client_connect_config())
    except OSError as error:
        raise ServerUnavailable(
            f"cannot read {error.filename}, which the Temporal settings name: {error.strerror}"
        ) from error
    except Exception as error:  # the bridge's ConfigError has no public name
        raise ServerUnavailable(_bad_settings(str(error), options)) from error
    configured_address = settings.pop("target_host", None)
    configured_namespace = settings.pop("namespace", None)
    address = options.address or configured_address or DEFAULT_ADDRESS
    if not _ADDRESS.fullmatch(address):
        raise ServerUnavailable(
            f"not an address of Temporal: {address!r} (write host:port, as in {DEFAULT_ADDRESS})"
        )
    return Target(
        address=address,
        namespace=options.namespace or configured_namespace or "default",
        settings=settings,
    )


async def connect(options: ConnectionOptions) -> Client:
    """Connect for one command: one try, an answer within a few seconds.

    Raises:
        ServerUnavailable: Temporal does not answer or does not let us in; the text says what to do.
    """
    return await _connect_once(
        find_target(options),
        identity=client_identity(),
        retry_config=RetryConfig(max_elapsed_time_millis=_RETRY_MILLIS),
        runtime=_quiet_runtime(),
        interceptors=_carried(os.environ),
    )


async def connect_lazily(options: ConnectionOptions) -> Client:
    """Return a client that connects with its first call, and again after Temporal was away.

    Raises:
        ServerUnavailable: The settings cannot be used at all, so waiting would not help.
    """
    target = find_target(options)
    try:
        return await Client.connect(
            target.address,
            namespace=target.namespace,
            data_converter=pydantic_data_converter,
            identity=client_identity(),
            retry_config=RetryConfig(max_elapsed_time_millis=_RETRY_MILLIS),
            runtime=_quiet_runtime(),
            lazy=True,
            **target.settings,
        )
    except (RuntimeError, ValueError) as error:
        raise connect_trouble(str(error), address=target.address) from error


async def connect_patiently(
    options: ConnectionOptions,
    *,
    log: "logging.Logger | logging.LoggerAdapter[logging.Logger]",
    identity: str | None = None,
    runtime: Runtime | None = None,
    interceptors: Sequence[Interceptor] = (),
) -> Client:
    """Connect for a worker: wait until Temporal is there and lets us in, however long that takes.

    Logs one line when it has to wait, one for each new reason, and one when it is connected. Cancel it to give up.

    Args:
        options: Where Temporal is.
        log: Gets a line for each change.
        identity: How the worker calls itself.
        runtime: Shared by the process's workers (telemetry, heartbeats).
        interceptors: What stands around calls and work, such as traces.

    Raises:
        ServerUnavailable: The settings cannot be used at all, so waiting would not help.
    """
    target = find_target(options)
    identity = identity or client_identity()
    said: str | None = None
    for pause in pauses():
        try:
            client = await _connect_once(
                target, identity=identity, runtime=runtime, interceptors=interceptors
            )
        except ServerUnavailable as error:
            if str(error) != said:
                said = str(error)
                log.warning("waiting for Temporal: %s", said)
            await asyncio.sleep(pause)
        else:
            log.info("connected to Temporal at %s, namespace %s", target.address, target.namespace)
            return client
    raise AssertionError("the pauses never end")


def pauses(
    *, first: float = _FIRST_PAUSE, longest: float = _LONGEST_PAUSE, jitter: float = 0.5
) -> Iterator[float]:
    """Yield seconds to wait between tries: doubling up to `longest`, each shortened by up to the share `jitter`.

    The jitter keeps a fleet of agents from coming back in step after Temporal was away.
    """
    pause = first
    while True:
        yield pause * (1 - jitter * random.random())  # noqa: S311 - spreads load, guards nothing
        pause = min(longest, pause * 2)


def client_identity() -> str:
    """Return how the command line calls itself in Temporal's histories."""
    return f"kitsune-cli@{socket.gethostname()}/{_user()}"


def actor() -> str:
    """Return who is at the keyboard, as recorded with what they ask of a rollout."""
    return f"{_user()}@{socket.gethostname()}"


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return f"uid {os.getuid()}"


def _quiet_runtime() -> Runtime:
    """Return a runtime whose core writes no log: it would write to stdout, between the data."""
    return Runtime(telemetry=TelemetryConfig(logging=None), worker_heartbeat_interval=None)


def _carried(environ: Mapping[str, str]) -> Sequence[Interceptor]:
    """Return what lets a rollout belong to the trace that this command runs in, where there is one."""
    try:
        if not environ.get(ENV_TRACEPARENT) or not traces_wanted(environ):
            return ()
    except BadSetting:  # the workers say so; a command has other things to say
        return ()
    from kitsune.tracing.provider import carry_context  # noqa: PLC0415 - the library is an extra

    return carry_context(environ)


async def _connect_once(target: Target, **client_options: Any) -> Client:
    try:
        return await asyncio.wait_for(_attempt(target, **client_options), ONE_TRY.total_seconds())
    except TimeoutError as error:
        reason = f"no answer within {ONE_TRY.total_seconds():g} s"
        raise no_answer(target.address, reason) from error
    except (RuntimeError, ValueError) as error:
        raise connect_trouble(str(error), address=target.address) from error
    except RPCError as error:
        raise call_trouble(error, address=target.address, namespace=target.namespace) from error


async def _attempt(target: Target, **client_options: Any) -> Client:
    client = await Client.connect(
        target.address,
        namespace=target.namespace,
        data_converter=pydantic_data_converter,
        **target.settings,
        **client_options,
    )
    # A connection alone proves neither that the namespace exists nor that we may use it.
    await client.workflow_service.describe_namespace(
        DescribeNamespaceRequest(namespace=target.namespace), timeout=ONE_TRY
    )
    return client


def _bad_settings(text: str, options: ConnectionOptions) -> str:
    words = " ".join(text.split())[:_LONGEST_REASON]
    if "not found" in words:
        wanted = options.profile or os.environ.get("TEMPORAL_PROFILE")
        return f"no Temporal profile {wanted!r}: `temporal config list` shows those there are"
    return f"the Temporal settings cannot be used: {words}"
