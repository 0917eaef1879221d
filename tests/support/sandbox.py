"""Where do tests run the workflows? Where what isn't deterministic fails: a clock, chance, a file.

The worker runs them bare. A sandbox for each of them, the sleeping recoveries too, cost a fifth of
its time, and what it would find there is found before: see docs/decisions/0030.
"""

from typing import Final

from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

SANDBOX: Final = SandboxedWorkflowRunner(
    restrictions=SandboxRestrictions.default.with_passthrough_modules(
        # Pure, and the same for every workflow: importing them anew for each costs milliseconds.
        "payment_pipeline.domain",
        "payment_pipeline.orchestrator.messages",
        "payment_pipeline.orchestrator.search_attribute_keys",
        "payment_pipeline.orchestrator.workflows.policies",
    )
)
