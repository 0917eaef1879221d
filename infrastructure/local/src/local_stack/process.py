"""Finds and ends the processes of one stack."""

import os
import signal
from pathlib import Path
from typing import Final

import psutil

from local_stack import supervisor
from local_stack.components import components
from local_stack.files import var
from payment_pipeline.settings import Settings

END_WAIT_S: Final = 25


def listener(port: int) -> int | None:
    """The pid of the listener on a port. None if the system hides it: macOS shows it to root."""
    try:
        connections = psutil.net_connections("tcp")
    except psutil.AccessDenied:
        return None
    listening = (each for each in connections if each.status == psutil.CONN_LISTEN)
    return next((each.pid for each in listening if each.laddr and each.laddr.port == port), None)


def members(settings: Settings) -> list[psutil.Process]:
    """Every process of this stack and its supervisord, whether or not their parent is alive."""
    home = var(settings)
    mine = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    return [p for p in psutil.process_iter() if p.pid not in mine and _belongs(p, home)]


def _belongs(process: psutil.Process, home: Path) -> bool:
    """Whether a process has the stack's mark in its environment, or a component recognizes it."""
    try:
        with process.oneshot():
            try:
                if process.environ().get(supervisor.MARK) == str(home):
                    return True
            except psutil.AccessDenied:
                pass
            recognize = (supervisor.recognized, *(c.recognized for c in components().values()))
            return any(recognized(process, home) for recognized in recognize)
    except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
        return False


def end(processes: list[psutil.Process]) -> None:
    """End processes without a supervisor: with SIGTERM, and after `END_WAIT_S` with SIGKILL."""
    for process in processes:
        _signal(process, signal.SIGTERM)
    _, alive = psutil.wait_procs(processes, timeout=END_WAIT_S)
    for process in alive:
        _signal(process, signal.SIGKILL)
    psutil.wait_procs(alive, timeout=END_WAIT_S)


def _signal(process: psutil.Process, number: int) -> None:
    try:
        process.send_signal(number)
    except psutil.NoSuchProcess:
        return
