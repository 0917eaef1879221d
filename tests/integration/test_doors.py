"""No port of the stack gives a stranger anything of value, except those of a closed list.

The ports are not listed here: they are the listeners of all processes of the whole stack. A port of
a new component is knocked at as well, and fails this test until the component asks for credentials.
"""

import asyncio
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

import psutil
import pytest

from drills.catalogue.canaries import SCHEDULED
from local_stack import process
from local_stack.component import GROUPS
from local_stack.components import components, superset
from local_stack.stack import status, stop
from payment_operations.stack_start import up
from payment_pipeline.settings import Settings
from support import knocks
from support.listeners import LOOPBACK

pytestmark = [pytest.mark.stack, pytest.mark.timeout(900)]

EVERYTHING: Final = frozenset({"*"})


class Open(NamedTuple):
    """What a port may give a stranger, and why."""

    gives: frozenset[str]
    why: str


def only(*paths: str) -> frozenset[str]:
    return frozenset(f"GET {path}" for path in paths)


STATES: Final = Open(
    only("/livez", "/readyz", "/metrics"), "states and counts, without ids and personal data"
)
NO_LOGIN: Final = "has no login; docs/security.md says so under the threats without a measure"
OPEN: Final[Mapping[str, Open]] = {
    "kafka_port": Open(frozenset({"Kafka"}), NO_LOGIN),
    "kafka_controller_port": Open(frozenset({"Kafka"}), NO_LOGIN),
    "temporal_port": Open(EVERYTHING, NO_LOGIN),
    "temporal_ui_port": Open(EVERYTHING, NO_LOGIN),
    "temporal, without a setting": Open(
        EVERYTHING, f"the ports between the parts of Temporal's server; it {NO_LOGIN}"
    ),
    "dagster_port": Open(EVERYTHING, NO_LOGIN),
    "inference_port": Open(
        STATES.gives | only("/openapi.json"), "states and counts, and the description of scores"
    ),
    "gateway_metrics_port": Open(
        STATES.gives | only("/openapi.json"), "states and counts, and the description of webhooks"
    ),
    "normalizer_metrics_port": STATES,
    "dispatcher_metrics_port": STATES,
    "worker_metrics_port": STATES,
    "lake_metrics_port": STATES,
    "s3_port": Open(only("/status", "/healthz", "/readyz"), "answers without a body"),
    "catalog_port": Open(only("/v1/config"), "the name of the warehouse, which the client gave"),
    "trino_port": Open(only("/v1/info"), "the version, and whether the server is starting"),
    "superset_port": Open(
        only("/health", "/healthz", "/login/"), "a state, and the page that asks for the password"
    ),
}
"""The ports that may answer a stranger. Each other port must refuse everything."""


@pytest.fixture(scope="module")
def whole(rough_stack: Settings) -> Iterator[Settings]:
    """Every component of every group."""
    if not superset.installed():
        pytest.skip("NOT TESTED: the doors. Superset is not installed: run make setup-superset")
    up(rough_stack, groups=GROUPS)
    yield rough_stack
    stop(rough_stack, SCHEDULED)


def listeners(settings: Settings) -> dict[int, str]:
    """The setting, or else the component, of each port that a process of the stack listens on."""
    owned = {getattr(settings, name): name for each in components().values() for name in each.ports}
    mine = {member.pid: member for member in process.members(settings)}
    found = {}
    for each in psutil.net_connections("inet"):
        if each.pid in mine and each.status == psutil.CONN_LISTEN and each.laddr:
            assert each.laddr.ip in LOOPBACK, each
            component = component_of(settings, mine[each.pid])
            found[each.laddr.port] = owned.get(each.laddr.port, f"{component}, without a setting")
    return found


def component_of(settings: Settings, member: psutil.Process) -> str:
    """The component that a process or one of its parents is."""
    roots = {each.pid: each.name for each in status(settings)}
    family = [member, *member.parents()]
    return next((roots[each.pid] for each in family if each.pid in roots), member.name())


async def test_no_port_gives_a_stranger_anything_that_is_not_listed(whole: Settings) -> None:
    ports = await asyncio.to_thread(listeners, whole)
    registered = {name for each in components().values() for name in each.ports}
    assert registered <= set(ports.values()), "every component of the registry listens"
    answers = await asyncio.gather(*(knocks.knock(whole.host, port) for port in ports))
    given: dict[str, set[str]] = {}
    for name, answer in zip(ports.values(), answers, strict=True):
        given.setdefault(name, set()).update(answer)
    too_much = {
        name: sorted(found - OPEN[name].gives if name in OPEN else found)
        for name, found in given.items()
        if name not in OPEN or OPEN[name].gives != EVERYTHING
    }
    found = {name: gives for name, gives in too_much.items() if gives}
    no_more_open = [name for name in OPEN if not given.get(name)]
    assert (found, no_more_open) == ({}, []), given


async def test_no_page_of_a_stranger_may_write_to_the_lake(whole: Settings) -> None:
    for url in (f"{whole.s3}/lakehouse/knock", f"{whole.catalog}/v1/lakehouse/namespaces"):
        assert await knocks.foreign_origin(url) is None


def test_no_socket_file_is_open_to_another_user(whole: Settings) -> None:
    """Some programs also listen on Unix sockets, even in a folder that everybody can enter."""
    mine = {member.pid for member in process.members(whole)}
    found = {
        Path(str(each.laddr))
        for each in psutil.net_connections("unix")
        if each.pid in mine and str(each.laddr).startswith("/")
    }
    assert whole.var / "run" in {path.parent for path in found}
    opened = [
        path
        for path in found
        if path.exists()  # a server may listen under a name that it renames
        and stat.S_ISSOCK(path.stat().st_mode)
        and path.stat().st_mode & 0o077
        and path.parent.stat().st_mode & 0o077
    ]
    assert opened == []
