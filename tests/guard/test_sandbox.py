"""Every workflow loads in the sandbox that the workers use."""

import importlib
import pkgutil

import pytest
from temporalio import workflow

import kitsune.workflows
from kitsune import names
from kitsune.workers.sandbox import make_workflow_runner


def workflow_classes():
    found = {}
    for module in pkgutil.iter_modules(kitsune.workflows.__path__, "kitsune.workflows."):
        for value in vars(importlib.import_module(module.name)).values():
            if isinstance(value, type) and value.__module__ == module.name:
                definition = workflow._Definition.from_class(value)
                if definition:
                    found[definition.name] = definition
    return found


def test_all_workflow_types_are_found():
    assert set(workflow_classes()) >= {
        names.ORCHESTRATION_WORKFLOW,
        names.SERVER_EXECUTION_WORKFLOW,
        names.SERVER_ROLLBACK_WORKFLOW,
    }


@pytest.mark.parametrize("definition", workflow_classes().values(), ids=workflow_classes().keys())
async def test_a_workflow_loads_in_the_sandbox(definition):
    make_workflow_runner().prepare_workflow(definition)
