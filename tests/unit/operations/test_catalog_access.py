"""The access to the catalog in Polaris: the description, what is made, and the drift."""

import asyncio
from collections.abc import Callable, Iterator

import pytest
from pydantic import SecretStr
from typer.testing import CliRunner

from payment_operations import catalog_access, catalog_changes
from payment_operations.catalog_access import WHOLE, Fact, Kind
from payment_operations.cli import application
from payment_pipeline import settings as settings_module
from payment_pipeline.catalog_settings import CATALOG_ROLES, secret_of
from payment_pipeline.domain.failures import UserError
from payment_pipeline.settings import MissingSecretError, Settings
from support import polaris_stand_in
from support.polaris_stand_in import State

SettingsOf = Callable[..., Settings]
SECRETS = {secret_of(role): SecretStr(f"the-secret-of-the-{role}") for role in CATALOG_ROLES}
NEVER_READS = {"loader": {"marts", "staging", "intermediate"}, "reader": {"data", "staging"}}
WRITES = {"TABLE_WRITE_DATA", "TABLE_CREATE", "TABLE_DROP"}


@pytest.fixture
def polaris() -> Iterator[State]:
    with polaris_stand_in.running() as state:
        yield state


@pytest.fixture
def settings(isolated: SettingsOf, polaris: State) -> Settings:
    return isolated(
        catalog_uri=polaris.url,
        catalog_warehouse="lakehouse",
        catalog_location="s3://warehouse",
        catalog_oauth_scope="PRINCIPAL_ROLE:ALL",
        catalog_principals=True,
        catalog_admin_secret=SecretStr("the-secret-of-the-root"),
        s3_endpoint="http://minio:9000",
        **SECRETS,
    )


def apply(settings: Settings, *, revoke: bool = False) -> tuple[list[str], tuple[Fact, ...]]:
    told: list[str] = []
    left = asyncio.run(catalog_changes.apply(settings, revoke=revoke, told=told.append))
    return told, left


def drift(settings: Settings) -> catalog_access.Drift:
    return asyncio.run(catalog_changes.drift(settings))


def granted(settings: Settings, role: str, namespace: str) -> set[str]:
    return {
        fact.names[1]
        for fact in catalog_access.description(settings)
        if fact.kind is Kind.GRANT and fact.names[::2] == (f"payments_{role}", namespace)
    }


def test_each_role_writes_only_what_it_makes(settings: Settings) -> None:
    spaces = ("data", "staging", "intermediate", "marts")
    writes = {
        role: [each for each in spaces if granted(settings, role, each) & WRITES]
        for role in CATALOG_ROLES
    }
    assert writes == {
        "loader": ["data"],
        "transformer": ["staging", "intermediate", "marts"],
        "reader": [],
        "maintenance": [*spaces],
    }
    for role, hidden in NEVER_READS.items():
        assert not [each for each in hidden if granted(settings, role, each)]
    for role in CATALOG_ROLES:
        assert granted(settings, role, WHOLE) == {"NAMESPACE_LIST"}
    assert "TABLE_DROP" not in granted(settings, "loader", "data")
    assert not granted(settings, "maintenance", "data") & {"TABLE_CREATE", "TABLE_DROP"}


def test_a_second_call_makes_no_change(settings: Settings, polaris: State) -> None:
    told, left = apply(settings)
    assert told[0] == "made: catalog lakehouse"
    assert left == ()
    assert polaris.calls
    polaris.calls.clear()
    assert apply(settings) == ([], ())
    assert polaris.calls == []
    assert not any(drift(settings))


def test_no_line_and_no_fact_has_a_secret(settings: Settings) -> None:
    shown = " ".join([*map(str, drift(settings).missing), *apply(settings)[0]])
    assert "the-secret" not in shown


def test_the_catalog_is_made_for_a_store_without_roles(settings: Settings, polaris: State) -> None:
    apply(settings)
    made = polaris.catalogs["lakehouse"]
    assert made["properties"] == {
        "default-base-location": "s3://warehouse",
        "polaris.config.drop-with-purge.enabled": "true",
    }
    assert made["storageConfigInfo"] == {
        "storageType": "S3",
        "allowedLocations": ["s3://warehouse"],
        "region": "us-east-1",
        "endpoint": "http://minio:9000",
        "pathStyleAccess": True,
        "stsUnavailable": True,
    }


def test_the_catalog_on_aws_names_the_role_for_vended_keys(settings: Settings) -> None:
    role = "arn:aws:iam::123456789012:role/lake"
    aws = settings.model_copy(update={"catalog_role_arn": role, "catalog_vended_credentials": True})
    stored = catalog_access.storage(aws)
    assert (stored["roleArn"], stored["stsUnavailable"]) == (role, False)
    assert "endpoint" not in stored


@pytest.mark.parametrize(
    ("spoil", "line"),
    [
        (lambda at: at.namespaces.remove("marts"), "namespace marts"),
        (lambda at: at.members.remove(("payments_reader",) * 2),
         "principal payments_reader has principal role payments_reader"),
        (lambda at: at.clients.update(payments_loader="another"),
         "secret of principal payments_loader as in the settings"),
        (lambda at: at.catalogs["lakehouse"]["storageConfigInfo"].update(region="eu-west-1"),
         "catalog setting region = us-east-1"),
    ],
)  # fmt: skip
def test_what_is_missing_is_shown_and_made_again(
    settings: Settings, polaris: State, spoil: Callable[[State], None], line: str
) -> None:
    apply(settings)
    spoil(polaris)
    assert [str(fact) for fact in drift(settings).missing] == [line]
    assert apply(settings) == ([f"made: {line}"], ())
    assert not any(drift(settings))


@pytest.mark.parametrize(
    ("spoil", "line"),
    [
        (lambda at: at.members.add(("eve", "payments_loader")),
         "principal eve has principal role payments_loader"),
        (lambda at: at.members.add(("eve", "service_admin")),
         "principal eve has principal role service_admin"),
        (lambda at: at.holders.add(("analysts", "payments_reader")),
         "principal role analysts has catalog role payments_reader"),
        (lambda at: at.catalog_roles["payments_reader"].append(
            {"type": "namespace", "namespace": ["data"], "privilege": "TABLE_READ_DATA"}),
         "catalog role payments_reader has TABLE_READ_DATA on data"),
        (lambda at: at.catalog_roles["payments_reader"].append(
            {"type": "table", "namespace": ["data"], "tableName": "payment_events",
             "privilege": "TABLE_READ_DATA"}),
         "catalog role payments_reader has TABLE_READ_DATA on data.payment_events"),
    ],
)  # fmt: skip
def test_a_right_that_nobody_described_is_shown_and_revoked_only_when_asked(
    settings: Settings, polaris: State, spoil: Callable[[State], None], line: str
) -> None:
    apply(settings)
    spoil(polaris)
    assert [str(fact) for fact in drift(settings).undescribed] == [line]
    told, left = apply(settings)
    assert (told, [str(fact) for fact in left]) == ([], [line])
    told, left = apply(settings, revoke=True)
    assert (told, left) == ([f"revoked: {line}"], ())
    assert not any(drift(settings))


def test_a_role_of_others_is_shown_and_kept(settings: Settings, polaris: State) -> None:
    apply(settings)
    polaris.catalog_roles["theirs"] = []
    told, left = apply(settings, revoke=True)
    assert (told, [str(fact) for fact in left]) == ([], ["catalog role theirs"])


def test_a_missing_secret_changes_nothing(settings: Settings, polaris: State) -> None:
    without = settings.model_copy(update={"catalog_reader_secret": None})
    with pytest.raises(MissingSecretError, match="catalog_reader_secret"):
        apply(without)
    assert polaris.calls == []


@pytest.mark.parametrize(
    ("given", "failure", "reason"),
    [
        ({"catalog_uri": "http://127.0.0.1:9/api/catalog"}, 0, "No Polaris answers at"),
        ({"catalog_admin_secret": SecretStr("forged")}, 0, "refuses the principal root"),
        ({}, 500, "with 500: out of order. Bootstrap its database"),
        ({"catalog_uri": "http://127.0.0.1:9"}, 0, "is not the address of Polaris's catalog"),
    ],
)
def test_nothing_is_judged_without_an_answer(
    settings: Settings, polaris: State, given: dict[str, object], failure: int, reason: str
) -> None:
    polaris.failure = failure
    with pytest.raises(UserError, match=reason) as refused:
        drift(settings.model_copy(update=given))
    assert refused.value.exit_code == 2
    assert "forged" not in str(refused.value)


def test_the_exit_code_says_whether_there_is_drift(
    settings: Settings, polaris: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings_module, "load", lambda: settings)
    call = CliRunner().invoke
    assert call(application(), ["catalog", "diff"]).exit_code == 1
    assert call(application(), ["catalog", "apply"]).exit_code == 0
    assert call(application(), ["catalog", "diff"]).exit_code == 0
    polaris.principals.add("eve")
    polaris.members.add(("eve", "payments_reader"))
    shown = call(application(), ["catalog", "diff"])
    assert shown.exit_code == 1
    assert "not described: principal eve has principal role payments_reader" in shown.output
