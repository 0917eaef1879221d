"""One run of Dagster in a process of its own, such as a pod.

`python -m local_stack.dagster_run COMMAND...` becomes the command of Dagster's launcher. The run
calls dbt, so it needs the variables of the code server.
"""

import os
import sys

from local_stack import dagster
from payment_pipeline.adapters.trino import dbt_environment
from payment_pipeline.domain.failures import UserError
from payment_pipeline.settings import PRIVATE_UMASK, load


def main() -> None:
    """Become the run."""
    try:
        settings = load()
        variables = {**dagster.environment(settings), **dbt_environment(settings)}
    except UserError as error:
        print(error, file=sys.stderr)  # noqa: T201 - the pod's log
        sys.exit(error.exit_code)
    os.umask(PRIVATE_UMASK)
    os.environ.update(variables)
    program, *arguments = sys.argv[1:]
    os.execv(program, [program, *arguments])  # noqa: S606 - no shell is the point


if __name__ == "__main__":
    main()
