"""Who may do what in the lakehouse's catalog: the description as a list of facts.

A fact is one thing that is true or not in Polaris, such as "the catalog role payments_loader has
TABLE_LIST on data". The description is the ordered list of wanted facts. What Polaris has is a set
of facts too, so a comparison of both shows all drift.
"""

import tomllib
from collections.abc import Iterator, Mapping
from enum import Enum
from importlib import resources
from typing import Any, Final, NamedTuple

from payment_pipeline.catalog_settings import CATALOG_ROLES, principal_of
from payment_pipeline.settings import Settings

FILE: Final = "catalog_access.toml"
SERVICE_ADMIN: Final = "service_admin"
"""Polaris's principal role with all rights."""
CATALOG_ADMIN: Final = "catalog_admin"
"""The catalog role that Polaris makes with each catalog. It has all rights over the catalog."""
WHOLE: Final = "the whole catalog"
BASE: Final = "default-base-location"
PURGE: Final = "polaris.config.drop-with-purge.enabled"


class Kind(Enum):
    """A kind of fact: the sentence that a fact of it makes of its names."""

    CATALOG = "catalog {}"
    SETTING = "catalog setting {} = {}"
    NAMESPACE = "namespace {}"
    PRINCIPAL = "principal {}"
    CREDENTIAL = "secret of principal {} as in the settings"
    PRINCIPAL_ROLE = "principal role {}"
    MEMBER = "principal {} has principal role {}"
    CATALOG_ROLE = "catalog role {}"
    GRANT = "catalog role {} has {} on {}"
    HOLDER = "principal role {} has catalog role {}"


class Fact(NamedTuple):
    """One fact. `names` fill the kind's sentence, in its order."""

    kind: Kind
    names: tuple[str, ...]

    def __str__(self) -> str:
        """The fact as a sentence without its full stop."""
        return self.kind.value.format(*self.names)


class Drift(NamedTuple):
    """How Polaris differs from the description."""

    missing: tuple[Fact, ...]
    """Wanted facts that are not true, in the order in which they can be made true."""
    undescribed: tuple[Fact, ...]
    """True facts that nobody wants: somebody has more rights than described."""


def compare(wanted: list[Fact], found: Mapping[Fact, object]) -> Drift:
    """The drift. A setting of the catalog with another value is only a missing one."""
    known = {*wanted}
    extra = (fact for fact in found if fact not in known and fact.kind is not Kind.SETTING)
    return Drift(
        tuple(fact for fact in wanted if fact not in found),
        tuple(sorted(extra, key=str)),
    )


def storage(settings: Settings) -> dict[str, Any]:
    """The catalog's `storageConfigInfo`.

    A store other than AWS can't vend keys (`stsUnavailable`): it has no roles to assume.
    """
    given = {
        "storageType": "S3",
        "allowedLocations": [settings.catalog_location],
        "region": settings.s3_region,
        "pathStyleAccess": True,
        "stsUnavailable": not settings.catalog_vended_credentials,
    }
    if settings.catalog_role_arn:
        return {**given, "pathStyleAccess": False, "roleArn": settings.catalog_role_arn}
    return {**given, "endpoint": settings.s3}


def properties(settings: Settings) -> dict[str, str]:
    """The catalog's properties. Trino deletes a dropped table's files, which Polaris must allow."""
    return {BASE: settings.catalog_location, PURGE: "true"}


def setting_facts(given: Mapping[str, Any], stored: Mapping[str, Any]) -> Iterator[Fact]:
    """The facts of a catalog's properties and storage. Other settings of it are not described."""
    names = ("allowedLocations", "region", "endpoint", "roleArn", "pathStyleAccess")
    values = {
        **{name: given.get(name) for name in (BASE, PURGE)},
        **{name: stored.get(name) for name in (*names, "stsUnavailable")},
    }
    for name, value in values.items():
        if value not in (None, ""):
            text = ", ".join(value) if isinstance(value, list) else str(value)
            yield Fact(Kind.SETTING, (name, text))


def description(settings: Settings) -> list[Fact]:
    """The wanted facts, in the order in which they can be made true."""
    told = tomllib.loads(resources.files(__package__).joinpath(FILE).read_text())
    names = [principal_of(role) for role in CATALOG_ROLES]
    administrators = dict.fromkeys([*told["administrators"], settings.catalog_admin])
    return [
        Fact(Kind.CATALOG, (settings.catalog_warehouse,)),
        *setting_facts(properties(settings), storage(settings)),
        *(Fact(Kind.NAMESPACE, (name,)) for name in told["namespaces"]),
        *(Fact(Kind.PRINCIPAL_ROLE, (name,)) for name in names),
        *(Fact(Kind.PRINCIPAL, (name,)) for name in names),
        *(Fact(Kind.CREDENTIAL, (name,)) for name in names),
        *(Fact(Kind.MEMBER, (name, name)) for name in names),
        *(Fact(Kind.CATALOG_ROLE, (name,)) for name in names),
        *(fact for role in CATALOG_ROLES for fact in _grants(told, role)),
        *(Fact(Kind.HOLDER, (name, name)) for name in names),
        *(Fact(Kind.MEMBER, (name, SERVICE_ADMIN)) for name in administrators),
        Fact(Kind.HOLDER, (SERVICE_ADMIN, CATALOG_ADMIN)),
    ]


def _grants(told: Mapping[str, Any], role: str) -> Iterator[Fact]:
    name = f"payments_{role}"
    rights = told["rights"]
    places = {WHOLE: ["see"], **told["principals"][role]}
    for place, given in places.items():
        privileges = dict.fromkeys(each for right in given for each in rights[right])
        for privilege in privileges:
            yield Fact(Kind.GRANT, (name, privilege, place))
