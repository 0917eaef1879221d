"""The checks of this machine before a start, each with the remedy for a red one.

`payments doctor` shows every check. `payments up` starts nothing while one is red.
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
from local_stack.component import Check, Component, runs_elsewhere
from local_stack.components import chosen
from local_stack.downloads import Download
from payment_pipeline.domain.failures import UserError
from payment_pipeline.secret_length import too_short
from payment_pipeline.settings import Settings, variable

PYTHON_MIN: Final = (3, 11)
MIB: Final = 1024**2
PRIVATE_MODE: Final = 0o077


def checks(settings: Settings, components: tuple[Component, ...] | None = None) -> list[Check]:
    """All checks that are possible before a start, in the order in which to correct red ones.

    Args:
        settings: of the stack.
        components: to be started. None: the pipeline's.
    """
    asked = chosen() if components is None else components
    here = [component for component in asked if not runs_elsewhere(settings, component)]
    states = supervisor.states(settings)
    running = {each.name for each in here if states.get(each.name, {}).get("pid")}
    return [
        _python(),
        _var(settings),
        _host(settings),
        _disk(settings, here),
        *_downloads(settings, here),
        _memory(settings, [each for each in here if each.name not in running]),
        *(check for component in here for check in component.checks(settings)),
        *_secrets(settings),
        *_ports(settings, here, running),
    ]


def refuse_if_red(settings: Settings, components: tuple[Component, ...]) -> None:
    """Let a start continue only if every check is green.

    Raises:
        UserError: with one sentence for each red check.
    """
    red = [check for check in checks(settings, components) if not check.ok]
    if red:
        first, *rest = (f"{check.name}: {check.finding}; {check.remedy}." for check in red)
        raise UserError(first, exit_code=1, output="\n".join(rest))


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
    return next(path for path in (folder, *folder.parents) if files.exists(path))


def _unwritable(folder: Path) -> str | None:
    """The reason why no file can be made in the folder, or else in its nearest parent."""
    try:
        with tempfile.TemporaryFile(dir=_nearest(folder)):
            return None
    except OSError as failure:
        return failure.strerror


def _var(settings: Settings) -> Check:
    folder = files.var(settings)
    # In supervisord's file a comment begins with a space and one of these, even within quotes.
    if re.search(r"\s[;#]", str(folder)):
        remedy = "set PAYMENTS_VAR to a folder whose path has no `;` or `#` after a space"
        return Check("Folder", ok=False, finding=f"{folder} can't be configured", remedy=remedy)
    if reason := _unwritable(folder):
        remedy = "correct its permissions, or set PAYMENTS_VAR to a folder that you own"
        return Check("Folder", False, f"{folder} can't be written ({reason})", remedy)
    if files.open_to_others(folder):
        remedy = f"run `chmod 700 {folder}`, or set PAYMENTS_VAR to a folder of its own"
        return Check("Folder", False, f"other users can enter {folder}", remedy)
    return Check("Folder", ok=True, finding=f"{folder} is writable, and private")


def _host(settings: Settings) -> Check:
    """Some servers ask for no password. They are protected because they listen on loopback only."""
    try:
        inside = all(
            ip_address(found[4][0]).is_loopback for found in socket.getaddrinfo(settings.host, None)
        )
    except (OSError, ValueError):
        return Check("Host", False, f"{settings.host} is not an address", "set PAYMENTS_HOST")
    return Check(
        "Host",
        inside,
        f"{settings.host} is loopback"
        if inside
        else f"{settings.host} can be reached from outside",
        "leave PAYMENTS_HOST on 127.0.0.1 and publish the webhooks' port with a proxy: "
        "some of the other servers ask for no password",
    )


def _disk(settings: Settings, components: list[Component]) -> Check:
    free_mib = _free_mib(files.var(settings))
    needed_mib = sum(component.disk_mib for component in components)
    return Check(
        "Disk",
        free_mib >= needed_mib,
        f"{free_mib:,} MiB free, {needed_mib:,} MiB needed",
        "make room, or set PAYMENTS_VAR to a folder on another disk",
    )


def _free_mib(folder: Path) -> int:
    return shutil.disk_usage(_nearest(folder)).free // MIB


def _downloads(settings: Settings, components: list[Component]) -> list[Check]:
    """One check for each folder that files are fetched into, with the room for all of them."""
    wanted: dict[Path, Download] = {}
    for each in (each for component in components for each in component.downloads(settings)):
        before_mib = wanted[each.folder].size_mib if each.folder in wanted else 0
        wanted[each.folder] = each._replace(size_mib=before_mib + each.size_mib)
    return [_download(*each) for each in wanted.values()]


def _download(title: str, folder: Path, size_mib: int, setting: str) -> Check:
    if reason := _unwritable(folder):
        remedy = f"correct its permissions, or set {setting} to a folder that you own"
        return Check(title, False, f"{folder} can't be written ({reason})", remedy)
    free_mib = _free_mib(folder)
    return Check(
        title,
        free_mib >= size_mib,
        f"{free_mib:,} MiB free in {folder}, {size_mib:,} MiB needed",
        f"make room, or set {setting} to a folder on another disk",
    )


def _memory(settings: Settings, starting: list[Component]) -> Check:
    """Components that run already have their memory: only the others need more."""
    available_mib = psutil.virtual_memory().available // MIB
    heaps_mib = sum(getattr(settings, each.heap) for each in starting if each.heap)
    needed_mib = heaps_mib + sum(each.memory_mib for each in starting)
    return Check(
        "Memory",
        available_mib >= needed_mib,
        f"{available_mib:,} MiB available" + f", {needed_mib:,} MiB needed" * bool(needed_mib),
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
            found.append(Check("Secret", False, finding, f"{remedy} that you own"))
    return found


def _secret_file(name: str, path: Path) -> Check:
    try:
        mode, text = path.stat().st_mode, path.read_text()
    except FileNotFoundError:
        return Check("Secret", ok=True, finding=f"{name} will be generated")
    if mode & PRIVATE_MODE:
        return Check("Secret", False, f"{path} can be read by others", f"run `chmod 600 {path}`")
    if not text.strip():
        remedy = f"write the secret into it, remove it, or set {variable(name)}"
        return Check("Secret", False, f"{path} is empty", remedy)
    if short := too_short(name, text.strip()):
        return Check("Secret", False, f"{path} {short.finding}", short.remedy)
    return Check("Secret", ok=True, finding=f"{name} is there, and private")


def _ports(settings: Settings, components: list[Component], running: set[str]) -> list[Check]:
    owned = [(name, component) for component in components for name in component.ports]
    shared = Counter(getattr(settings, name) for name, _ in owned)
    # A stack that runs already holds its own ports.
    family = {member.pid for member in process.members(settings)}
    found = []
    for name, component in owned:
        port, setting = getattr(settings, name), variable(name)
        label = f"Port {port}"
        if shared[port] > 1:
            finding = f"{component.name}'s port is another component's too"
            found.append(Check(label, False, finding, f"set {setting} to a free port"))
        elif (trouble := _unusable(settings.host, port)) is None:
            found.append(Check(label, ok=True, finding=f"free for {component.name}"))
        elif (owner := process.listener(port)) in family or component.name in running:
            found.append(Check(label, ok=True, finding=f"{component.name} runs on it"))
        else:
            by = f" by {_described(owner)}" if owner else ""
            remedy = f"stop what listens there or set {setting} to a free port"
            found.append(Check(label, False, f"{component.name}'s port is {trouble}{by}", remedy))
    return found


def _unusable(host: str, port: int) -> str | None:
    """The reason why nothing can listen on the port. None if something can."""
    with socket.socket() as caller:
        # On macOS a bind succeeds although something listens on every address. A call finds it.
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
