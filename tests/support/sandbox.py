"""The workflow sandbox of the tests: nondeterministic code fails there (clock, random, files).

The worker of the product runs workflows without a sandbox. One sandbox per workflow, including
sleeping ones, took a fifth of the worker's time, and the tests find the same faults earlier. See
docs/decisions/0030.
"""

from typing import Final

from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

SANDBOX: Final = SandboxedWorkflowRunner(
    restrictions=SandboxRestrictions.default.with_passthrough_modules(
        # Pure modules, shared by all workflows: a new import per workflow costs milliseconds.
        "payment_pipeline.domain",
        "payment_pipeline.orchestrator.messages",
        "payment_pipeline.orchestrator.search_attribute_keys",
        "payment_pipeline.orchestrator.workflows.policies",
    )
)
