"""The option that says how long things are kept."""

import os
from datetime import timedelta
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from kitsune.agent.retention import Retention


def age_option(_ctx: click.Context, _param: click.Parameter, value: str | None) -> timedelta | None:
    """Return the age that an option holds; for click's `callback`.

    Raises:
        BadParameter: It is none.
    """
    from kitsune.agent.retention import parse_age

    try:
        return None if value is None else parse_age(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


def asked_retention(age: timedelta | None) -> "Retention":
    """Return what is kept: what an option says, else the environment, else the defaults.

    Raises:
        UsageError: The environment holds nonsense.
    """
    from kitsune.agent.retention import retention_of

    try:
        return retention_of(os.environ, age=age)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
