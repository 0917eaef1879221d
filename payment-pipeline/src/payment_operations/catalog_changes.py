"""What Polaris has of the described access, and the calls that make it as described."""

from collections.abc import AsyncIterator, Callable
from typing import Any, Final
from urllib.parse import quote

from payment_pipeline.catalog_settings import CATALOG_ROLES, principal_of, secret_of
from payment_pipeline.settings import Settings

from . import catalog_access
from .catalog_access import CATALOG_ADMIN, WHOLE, Drift, Fact, Kind
from .polaris import CATALOG, MANAGEMENT, Json, Polaris, connect

LOCATED: Final = ("namespace", "tableName", "viewName", "policyName")
"""The fields of a grant that say where it holds."""
Found = dict[Fact, Json]
"""The true facts. A grant's value is its body, which a revocation sends."""


async def drift(settings: Settings) -> Drift:
    """How Polaris differs from the description.

    Raises:
        UserError: Polaris doesn't answer, or refuses.
        MissingSecretError: a secret of a principal is missing.
    """
    async with connect(settings) as polaris:
        found = await read(polaris, settings)
    return catalog_access.compare(catalog_access.description(settings), found)


async def apply(
    settings: Settings, *, revoke: bool, told: Callable[[str], None]
) -> tuple[Fact, ...]:
    """Makes every wanted fact true, and says each change.

    Args:
        settings: describe the catalog and hold the secrets.
        revoke: take away grants and roles that are not described.
        told: gets one line for each change.

    Returns:
        The facts that are not described and still true.

    Raises:
        UserError: Polaris doesn't answer, or refuses. What was said before is done.
        MissingSecretError: a secret of a principal is missing. Nothing was changed.
    """
    for role in CATALOG_ROLES:
        settings.secret(secret_of(role))
    async with connect(settings) as polaris:
        wanted = catalog_access.description(settings)
        found = await read(polaris, settings)
        catalog = wanted[0]
        if catalog not in found:
            await _make(polaris, settings, catalog)
            told(f"made: {catalog}")
            # Polaris makes the catalog's administrator with it, and refuses to make one twice.
            found = await read(polaris, settings)
        for fact in catalog_access.compare(wanted, found).missing:
            if await _make(polaris, settings, fact):
                told(f"made: {fact}")
        undescribed = catalog_access.compare(wanted, found).undescribed
        if not revoke:
            return undescribed
        left = []
        for fact in undescribed:
            if await _revoke(polaris, settings, fact, found[fact]):
                told(f"revoked: {fact}")
            else:
                left.append(fact)
        return tuple(left)


async def read(polaris: Polaris, settings: Settings) -> Found:
    """The true facts: those of the described names, and whatever else reaches the catalog."""
    found: Found = {}
    described = {principal_of(role) for role in CATALOG_ROLES}
    roles = {*described, catalog_access.SERVICE_ADMIN}
    async for fact, body in _catalog_facts(polaris, settings):
        found[fact] = body
        if fact.kind is Kind.HOLDER:
            roles.add(fact.names[0])
    for role in sorted(roles):
        path = f"{MANAGEMENT}/principal-roles/{quote(role, safe='')}/principals"
        if (members := await polaris.find(path)) is None:
            continue
        if role in described:
            found[Fact(Kind.PRINCIPAL_ROLE, (role,))] = {}
        for each in members["principals"]:
            found[Fact(Kind.MEMBER, (each["name"], role))] = {}
    for role in CATALOG_ROLES:
        name = principal_of(role)
        if await polaris.find(f"{MANAGEMENT}/principals/{name}") is None:
            continue
        found[Fact(Kind.PRINCIPAL, (name,))] = {}
        if await polaris.knows(name, settings.secret(secret_of(role))):
            found[Fact(Kind.CREDENTIAL, (name,))] = {}
    return found


async def _catalog_facts(polaris: Polaris, settings: Settings) -> AsyncIterator[tuple[Fact, Json]]:
    catalog = settings.catalog_warehouse
    managed = _catalog(settings)
    if (there := await polaris.find(managed)) is None:
        return
    yield Fact(Kind.CATALOG, (catalog,)), {}
    for fact in catalog_access.setting_facts(there["properties"], there["storageConfigInfo"]):
        yield fact, {}
    spaces = await polaris.find(f"{CATALOG}/{quote(catalog, safe='')}/namespaces") or {}
    for levels in spaces.get("namespaces", ()):
        yield Fact(Kind.NAMESPACE, (".".join(levels),)), {}
    for role in (await polaris.find(f"{managed}/catalog-roles") or {}).get("roles", ()):
        name = role["name"]
        path = f"{managed}/catalog-roles/{quote(name, safe='')}"
        if name != CATALOG_ADMIN:
            yield Fact(Kind.CATALOG_ROLE, (name,)), {}
            for grant in (await polaris.find(f"{path}/grants") or {}).get("grants", ()):
                yield Fact(Kind.GRANT, (name, grant["privilege"], _place(grant))), grant
        for holder in (await polaris.find(f"{path}/principal-roles") or {}).get("roles", ()):
            yield Fact(Kind.HOLDER, (holder["name"], name)), {}


def _place(grant: Json) -> str:
    """Where a grant holds: a namespace, or a table, view or policy with its namespace."""
    parts = [part for name in LOCATED if (part := grant.get(name))]
    flat = [".".join(part) if isinstance(part, list) else str(part) for part in parts]
    return ".".join(flat) or WHOLE


async def _make(polaris: Polaris, settings: Settings, fact: Fact) -> bool:
    """Makes a fact true. False if it already became true with another one."""
    if fact.kind is Kind.SETTING:
        return await _set(polaris, settings, fact)
    if fact.kind is Kind.CREDENTIAL:
        (name,) = fact.names
        role = next(role for role in CATALOG_ROLES if principal_of(role) == name)
        given = {"clientId": name, "clientSecret": settings.secret(secret_of(role))}
        await polaris.send("POST", f"{MANAGEMENT}/principals/{name}/reset", given)
        return True
    method, path, body = _call(settings, fact)
    await polaris.send(method, path, body)
    return True


def _call(settings: Settings, fact: Fact) -> tuple[str, str, Json]:
    """The call that makes a fact true: its method, its path below `/api` and its body."""
    first, last = fact.names[0], fact.names[-1]
    catalog = _catalog(settings)
    where: Json = {"type": "catalog"}
    if last != WHOLE:
        where = {"type": "namespace", "namespace": last.split(".")}
    made = {"type": "INTERNAL", "name": first, **_catalog_body(settings)}
    holder = f"{MANAGEMENT}/principal-roles/{first}/catalog-roles/{_name(settings)}"
    member = f"{MANAGEMENT}/principals/{quote(first, safe='')}/principal-roles"
    namespace = {"namespace": first.split("."), "properties": {}}
    grant = {"grant": {**where, "privilege": fact.names[min(1, len(fact.names) - 1)]}}
    calls: dict[Kind, tuple[str, str, Json]] = {
        Kind.CATALOG: ("POST", f"{MANAGEMENT}/catalogs", {"catalog": made}),
        Kind.NAMESPACE: ("POST", f"{CATALOG}/{_name(settings)}/namespaces", namespace),
        Kind.PRINCIPAL_ROLE: _named("principal-roles", "principalRole", first),
        Kind.PRINCIPAL: _named("principals", "principal", first),
        Kind.MEMBER: ("PUT", member, {"principalRole": {"name": last}}),
        Kind.CATALOG_ROLE: ("POST", f"{catalog}/catalog-roles", {"catalogRole": {"name": first}}),
        Kind.GRANT: ("PUT", f"{catalog}/catalog-roles/{first}/grants", grant),
        Kind.HOLDER: ("PUT", holder, {"catalogRole": {"name": last}}),
    }
    return calls[fact.kind]


def _named(folder: str, field: str, name: str) -> tuple[str, str, Json]:
    return "POST", f"{MANAGEMENT}/{folder}", {field: {"name": name}}


async def _set(polaris: Polaris, settings: Settings, fact: Fact) -> bool:
    """Gives the catalog all its settings, unless an earlier call has given it this one."""
    there = await polaris.find(_catalog(settings)) or {}
    if fact in catalog_access.setting_facts(there["properties"], there["storageConfigInfo"]):
        return False
    body = _catalog_body(settings)
    body["properties"] = {**there["properties"], **body["properties"]}
    change = {"currentEntityVersion": there["entityVersion"], **body}
    await polaris.send("PUT", _catalog(settings), change)
    return True


async def _revoke(polaris: Polaris, settings: Settings, fact: Fact, body: Json) -> bool:
    """Takes away a grant or a role. False for a principal or namespace, which may be in use."""
    names = [quote(name, safe="") for name in fact.names]
    match fact.kind:
        case Kind.GRANT:
            path = f"{_catalog(settings)}/catalog-roles/{names[0]}/grants"
            await polaris.send("POST", path, {"grant": body})
        case Kind.HOLDER:
            role = f"{MANAGEMENT}/principal-roles/{names[0]}"
            path = f"{role}/catalog-roles/{_name(settings)}/{names[1]}"
            await polaris.send("DELETE", path, None)
        case Kind.MEMBER:
            path = f"{MANAGEMENT}/principals/{names[0]}/principal-roles/{names[1]}"
            await polaris.send("DELETE", path, None)
        case _:
            return False
    return True


def _name(settings: Settings) -> str:
    return quote(settings.catalog_warehouse, safe="")


def _catalog(settings: Settings) -> str:
    return f"{MANAGEMENT}/catalogs/{_name(settings)}"


def _catalog_body(settings: Settings) -> dict[str, Any]:
    return {
        "properties": catalog_access.properties(settings),
        "storageConfigInfo": catalog_access.storage(settings),
    }
