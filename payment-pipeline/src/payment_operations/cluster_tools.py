"""Calls of `kubectl`, for the cluster of the current context."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Final, NoReturn

from payment_pipeline.domain.failures import UserError

NAMESPACE: Final = "lakehouse"
CALL_S_MAX: Final = 60
"""The longest time of a call that waits for nothing."""


def kubectl_path() -> str:
    """The `kubectl` of this environment, or else of the machine.

    Raises:
        UserError: there is none.
    """
    own = shutil.which("kubectl", path=str(Path(sys.executable).parent))
    found = own or shutil.which("kubectl")
    if not found:
        raise UserError("kubectl is missing: run `make setup`.")
    return found


def kubectl(*arguments: str, given: str | None = None, wait_s: int = CALL_S_MAX) -> str:
    """Call kubectl in our namespace, and return what it prints.

    Args:
        arguments: of kubectl. They must hold no secret, because other users see them.
        given: standard input.
        wait_s: the longest time, in seconds.

    Raises:
        UserError: the cluster can't be reached or refuses. The error has kubectl's message.
    """
    command = [kubectl_path(), "--namespace", NAMESPACE, *arguments]
    try:
        done = subprocess.run(  # noqa: S603 - our own arguments
            command, input=given, capture_output=True, text=True, timeout=wait_s, check=False
        )
    except subprocess.TimeoutExpired:
        raise UserError(
            f"kubectl {arguments[0]} took longer than {wait_s} s. Run `make check PROFILE=dev`.",
            exit_code=1,
        ) from None
    if done.returncode:
        raise UserError(f"kubectl {arguments[0]} failed:", exit_code=1, output=done.stderr.strip())
    return done.stdout


def become(*arguments: str) -> NoReturn:
    """Replace this process by kubectl in our namespace."""
    program = kubectl_path()
    os.execv(program, [program, "--namespace", NAMESPACE, *arguments])  # noqa: S606


def found(*arguments: str) -> Any:  # noqa: ANN401 - an object of the API server
    """What `kubectl get` finds, as an object. None if it does not exist."""
    text = kubectl("get", *arguments, "--output", "json", "--ignore-not-found")
    return json.loads(text) if text.strip() else None


def context() -> str:
    """The name of the current context."""
    return kubectl("config", "current-context").strip()
