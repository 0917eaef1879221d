"""Supervisord: its configuration, its start, and calls to its interface.

Supervisord restarts processes that die, and rotates the logs. It starts nothing by itself: `up`
starts each component when the components that it needs are ready.
"""

import contextlib
import os
import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Final
from xmlrpc.client import Fault, ServerProxy

from supervisor.xmlrpc import SupervisorTransport

from local_stack import signing_secrets
from local_stack.component import Component, command_names, runs_elsewhere
from local_stack.components import components
from local_stack.files import log_path, run_dir, socket_path, var
from payment_pipeline.domain.failures import UserError
from payment_pipeline.settings import HOME, PRIVATE_UMASK, Settings, variable

MARK: Final = "PAYMENTS_STACK"
"""A variable of every process that a stack starts. Its value is the stack's folder."""

PROGRAM: Final = "supervisor.supervisord"
recognized = command_names(PROGRAM)
"""Whether a process is the supervisord of the stack in a folder."""
ALIVE: Final = ("STARTING", "RUNNING")
"""The states of a program that has a process. It is STARTING in its first second."""

LOG_BYTES_MAX: Final = "10MB"
LOG_BACKUPS: Final = 3
START_WAIT_S: Final = 10
# The pauses between retries grow by a second each. Together they outlast the restart of a store.
START_RETRIES: Final = 30


def config_path(settings: Settings) -> Path:
    """The generated configuration."""
    return run_dir(settings) / "supervisord.conf"


def pid_path(settings: Settings) -> Path:
    """Supervisord's own pid."""
    return run_dir(settings) / "supervisord.pid"


def write_config(settings: Settings) -> None:
    """Generate the configuration of every component that runs here."""
    sections = [_daemon_section(settings)]
    sections += [
        _program_section(settings, component)
        for component in components().values()
        if not runs_elsewhere(settings, component)
    ]
    config_path(settings).write_text("\n".join(sections))


def _daemon_section(settings: Settings) -> str:
    root = {"user": "root"} if os.geteuid() == 0 else {}
    daemon = {
        "logfile": log_path(settings, "supervisord"),
        "logfile_maxbytes": LOG_BYTES_MAX,
        "logfile_backups": LOG_BACKUPS,
        "pidfile": pid_path(settings),
        "childlogdir": var(settings) / "log",
        # Each component inherits it. Supervisord's default would be 022.
        "umask": f"{PRIVATE_UMASK:03o}",
        "identifier": "payments",
        **root,
    }
    rpc = "supervisor.rpcinterface:make_main_rpcinterface"
    return "\n".join(
        [
            _section("supervisord", daemon),
            _section("unix_http_server", {"file": socket_path(settings), "chmod": "0700"}),
            _section("rpcinterface:supervisor", {"supervisor.rpcinterface_factory": rpc}),
        ]
    )


def _program_section(settings: Settings, component: Component) -> str:
    variables = {
        **environment(settings),
        **_withheld(settings, component),
        **{variable(name): own for name, own in component.own_settings(settings).items()},
        MARK: str(var(settings)),
    }
    options = {
        "command": shlex.join(component.command(settings)),
        "directory": HOME,
        "environment": ",".join(f"{name}={_quoted(value)}" for name, value in variables.items()),
        "autostart": "false",
        "autorestart": "true",
        "startretries": START_RETRIES,
        "startsecs": 1,
        "stopsignal": component.stop_signal,
        "stopwaitsecs": component.stop_wait_s,
        # The signal goes to the program alone: PostgreSQL must stop its children itself.
        "stopasgroup": "false",
        "killasgroup": "true",
        "redirect_stderr": "true",
        "stdout_logfile": log_path(settings, component.name),
        "stdout_logfile_maxbytes": LOG_BYTES_MAX,
        "stdout_logfile_backups": LOG_BACKUPS,
    }
    return _section(f"program:{component.name}", options)


def _section(name: str, options: dict[str, Any]) -> str:
    # Supervisord expands %(name)s in every value.
    lines = (f"{key} = {str(value).replace('%', '%%')}" for key, value in options.items())
    return "\n".join([f"[{name}]", *lines, ""])


def _quoted(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def environment(settings: Settings) -> dict[str, str]:
    """Every setting except the secrets, so that each process has the settings of `up`.

    A setting without a value is passed as empty, which has precedence over a line of `.env`.
    """
    given = {**dict.fromkeys(signing_secrets.NAMES), **settings.public}
    plain = {
        variable(name): "" if value is None else str(value)
        for name, value in given.items()
        if name not in settings.given_secrets
    }
    return {**plain, "PAYMENTS_HOME": str(HOME), "PAYMENTS_VAR": str(var(settings))}


def _secret_environment(settings: Settings) -> dict[str, str]:
    """The secrets of the environment and `.env`. Supervisord gets them without a file."""
    return {variable(name): secret for name, secret in settings.given_secrets.items()}


def _withheld(settings: Settings, component: Component) -> dict[str, str]:
    """The secrets of the environment and `.env` that the component may not see, as empty."""
    shown = {variable(name) for name in component.secrets}
    return dict.fromkeys(_secret_environment(settings).keys() - shown, "")


def call(settings: Settings, method: str, *arguments: object) -> Any:  # noqa: ANN401 - any method
    """Call supervisord's interface. Its manual describes the methods under "XML-RPC API".

    Raises:
        OSError: no supervisord listens.
        xmlrpc.client.Fault: supervisord refuses the call.
    """
    transport = SupervisorTransport(serverurl=f"unix://{socket_path(settings)}")
    with ServerProxy("http://localhost", transport=transport) as server:
        return getattr(server.supervisor, method)(*arguments)


def running(settings: Settings) -> bool:
    """Whether this stack's supervisord answers."""
    try:
        return bool(call(settings, "getPID"))
    except (OSError, Fault):
        return False


def ensure(settings: Settings) -> None:
    """Start supervisord, or make the running one read the changed configuration.

    Raises:
        UserError: supervisord doesn't answer. The message names its log.
    """
    write_config(settings)
    if running(settings):
        _apply_changes(settings)
        return
    started = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-m", PROGRAM, "-c", config_path(settings)],
        env={**os.environ, **_secret_environment(settings)},
        cwd=HOME,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    deadline = time.monotonic() + START_WAIT_S
    while not running(settings):
        if started.returncode or time.monotonic() > deadline:
            log = log_path(settings, "supervisord")
            raise UserError(f"supervisord doesn't start, see {log}. {started.stderr}".strip(), 1)
        time.sleep(0.02)


def _apply_changes(settings: Settings) -> None:
    [[added, changed, removed]] = call(settings, "reloadConfig")
    for name in [*changed, *removed]:
        call(settings, "stopProcessGroup", name)
        call(settings, "removeProcessGroup", name)
    for name in [*added, *changed]:
        call(settings, "addProcessGroup", name)


def start(settings: Settings, name: str) -> None:
    """Start a component. Supervisord may be about to retry it already."""
    with contextlib.suppress(Fault):  # it is not running
        call(settings, "stopProcess", name, True)
    call(settings, "startProcess", name, False)


def states(settings: Settings) -> dict[str, dict[str, Any]]:
    """Each component's `getProcessInfo` by name. Empty when supervisord is down."""
    try:
        return {info["name"]: info for info in call(settings, "getAllProcessInfo")}
    except (OSError, Fault):
        return {}
