"""Can the stack start on this machine, and if not, what is to be done about it?

`payments doctor` shows every line; `up` refuses by the red ones before it starts anything.
"""

import errno
import os
import re
import shutil
import socket
import sys
import tempfile
from collections import Counter
from ipaddress import ip_address
from pathlib import Path
from typing import Final

import psutil

from local_stack import files, generated_secrets, process, supervisor
from local_stack.component import MIB, Check, Component, Download, runs_elsewhere
from local_stack.components import chosen
from local_stack.files import exists
from payment_pipeline.domain.failures import UserError
from payment_pipeline.settings import Settings, variable

PYTHON_MIN: Final = (3, 11)
PRIVATE_MODE: Final = 0o077


def checks(settings: Settings, components: tuple[Component, ...] | None = None) -> list[Check]:
    """Everything that can be known before a start, in the order in which to mend it.

    The components are the pipeline's if left out.
    """
    asked = chosen() if components is None else components
    here = [component for component in asked if not runs_elsewhere(settings, component)]
    # Another program may hold a port; a stack that runs already holds its own, and its memory.
    family = {member.pid for member in process.members(settings)}
    return [
        _python(),
        _var(settings),
        _host(settings),
        _disk(settings, here),
        *_downloads(settings, here),
        _memory(settings, here),
        *(check for component in here for check in component.checks(settings)),
        *_secrets(settings),
        *_ports(settings, here, family),
    ]


def refuse_if_red(settings: Settings, components: tuple[Component, ...]) -> None:
    """Let a start go on only when nothing is in its way.

    Raises:
        UserError: a sentence for each check that is red.
    """
    red = [check for check in checks(settings, components) if not check.ok]
    if red:
        said = "\n".join(f"{check.name}: {check.finding}; {check.remedy}." for check in red)
        raise UserError(said, exit_code=1)


def _python() -> Check:
    version = ".".join(map(str, sys.version_info[:3]))
    wanted = ".".join(map(str, PYTHON_MIN))
    return Check(
        "Python",
        sys.version_info >= PYTHON_MIN,
        f"{version} on {sys.platform}",
        f"install Python {wanted} or newer, remove .venv and run `make setup`",
    )


def _nearest(folder: Path) -> Path:
    """The folder, or its nearest parent that exists."""
    return next(path for path in (folder, *folder.parents) if exists(path))


def _unwritable(folder: Path) -> str | None:
    """Why no file can be made in the folder, or in the parent that it is to be made in."""
    try:
        with tempfile.TemporaryFile(dir=_nearest(folder)):
            return None
    except OSError as failure:
        return failure.strerror


def _var(settings: Settings) -> Check:
    folder = files.var(settings)
    # Supervisord takes what follows a space and one of these for a comment, even in quotes.
    if re.search(r"\s[;#]", str(folder)):
        remedy = "set PAYMENTS_VAR to a folder whose path has no `;` or `#` after a space"
        return Check("Folder", ok=False, finding=f"{folder} can't be configured", remedy=remedy)
    if reason := _unwritable(folder):
        remedy = "mend its permissions, or set PAYMENTS_VAR to a folder of your own"
        return Check("Folder", False, f"{folder} can't be written ({reason})", remedy)
    return Check("Folder", ok=True, finding=f"{folder} is writable")


def _host(settings: Settings) -> Check:
    """Kafka, Temporal, Trino and Dagster ask for no password: loopback is what guards them."""
    try:
        inside = all(
            ip_address(found[4][0]).is_loopback for found in socket.getaddrinfo(settings.host, None)
        )
    except (OSError, ValueError):
        return Check("Host", False, f"{settings.host} is no address", "set PAYMENTS_HOST")
    return Check(
        "Host",
        inside,
        f"{settings.host} is loopback"
        if inside
        else f"{settings.host} can be reached from outside",
        "leave PAYMENTS_HOST on 127.0.0.1 and put a proxy before the gateway: "
        "the stores have no passwords of their own",
    )


def _disk(settings: Settings, components: list[Component]) -> Check:
    free = shutil.disk_usage(_nearest(files.var(settings))).free
    needed = sum(component.disk_mib for component in components) * MIB
    return Check(
        "Disk",
        free >= needed,
        f"{free // MIB:,} MiB free, {needed // MIB:,} MiB needed",
        "make room, or set PAYMENTS_VAR to a folder on another disk",
    )


def _downloads(settings: Settings, components: list[Component]) -> list[Check]:
    """Check each folder that files are fetched into: it may be on another disk than the stack."""
    asked = [download for each in components for download in each.downloads(settings)]
    sizes: Counter[tuple[str, Path, str]] = Counter()
    for each in asked:
        sizes[each.title, each.folder, each.setting] += each.size_bytes
    return [
        _room(Download(title, folder, size, setting))
        for (title, folder, setting), size in sizes.items()
    ]


def _room(download: Download) -> Check:
    """Check that the files can be written to their folder, and that the folder has room."""
    title, folder, needed, setting = download
    if reason := _unwritable(folder):
        remedy = f"mend its permissions, or set {setting} to a folder of your own"
        return Check(title, False, f"{folder} can't be written ({reason})", remedy)
    free = shutil.disk_usage(_nearest(folder)).free
    return Check(
        title,
        free >= needed,
        f"{free // MIB:,} MiB free in {folder}, {needed // MIB:,} MiB needed",
        f"make room, or set {setting} to a folder on another disk",
    )


def _memory(settings: Settings, components: list[Component]) -> Check:
    """Check the memory for the components that don't run yet: the others have theirs already."""
    available = psutil.virtual_memory().available
    states = supervisor.states(settings)
    starting = [each for each in components if not states.get(each.name, {}).get("pid")]
    needed = sum(component.memory_mib(settings) for component in starting) * MIB
    return Check(
        "Memory",
        available >= needed,
        f"{available // MIB:,} MiB available" + f", {needed // MIB:,} MiB needed" * bool(needed),
        "close other programs, or run fewer components with `payments up --only`",
    )


def _secrets(settings: Settings) -> list[Check]:
    found = []
    for name in generated_secrets.names():
        if name in settings.given_secrets:
            found.append(Check("Secret", ok=True, finding=f"{variable(name)} is set"))
            continue
        path = settings.secrets_dir / name
        try:
            found.append(_secret_file(name, path))
        except OSError as failure:
            remedy = "run this as the user who started the stack, or set PAYMENTS_VAR to a folder"
            finding = f"{path} can't be read ({failure.strerror})"
            found.append(Check("Secret", False, finding, f"{remedy} of your own"))
    return found


def _secret_file(name: str, path: Path) -> Check:
    try:
        mode, text = path.stat().st_mode, path.read_text()
    except FileNotFoundError:
        return Check("Secret", ok=True, finding=f"{name} will be generated")
    if mode & PRIVATE_MODE:
        return Check("Secret", False, f"{path} can be read by others", f"run `chmod 600 {path}`")
    if not text.strip():
        remedy = f"write the secret into it, remove it, or set PAYMENTS_{name.upper()}"
        return Check("Secret", False, f"{path} is empty", remedy)
    return Check("Secret", ok=True, finding=f"{name} is there, and private")


def _ports(settings: Settings, components: list[Component], family: set[int]) -> list[Check]:
    owned = [(name, component) for component in components for name in component.ports]
    shared = Counter(getattr(settings, name) for name, _ in owned)
    states = supervisor.states(settings)
    found = []
    for name, component in owned:
        port, setting = getattr(settings, name), f"PAYMENTS_{name.upper()}"
        remedy = f"stop what listens there or set {setting} to a free port"
        label = f"Port {port}"
        if shared[port] > 1:
            finding = f"{component.name}'s port is another component's too"
            found.append(Check(label, False, finding, f"set {setting} to a free port"))
        elif (trouble := _unusable(settings.host, port)) is None:
            found.append(Check(label, ok=True, finding=f"free for {component.name}"))
        elif (owner := process.listener(port)) in family or states.get(component.name, {}).get(
            "pid"
        ):
            found.append(Check(label, ok=True, finding=f"{component.name} runs on it"))
        else:
            by = f" by {_described(owner)}" if owner else ""
            found.append(Check(label, False, f"{component.name}'s port is {trouble}{by}", remedy))
    return found


def _unusable(host: str, port: int) -> str | None:
    """Why nothing can listen there; None when it can."""
    with socket.socket() as caller:
        # A listener on every address hides from a bind on macOS, but it answers.
        if caller.connect_ex((host, port)) == 0:
            return "taken"
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except OSError as failure:
            taken = failure.errno == errno.EADDRINUSE
            return "taken" if taken else f"unusable ({os.strerror(failure.errno or 0)})"
    return None


def _described(pid: int) -> str:
    try:
        return f"{psutil.Process(pid).name()} (pid {pid})"
    except psutil.NoSuchProcess:
        return f"pid {pid}"
