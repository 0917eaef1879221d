"""Tests that Trino's configuration follows from the settings, for any catalog and S3."""

import hashlib
import json
import tomllib
from collections.abc import Callable

import pytest

from local_stack import certificates
from local_stack.components import seaweedfs, trino
from payment_pipeline.adapters.trino import dbt_environment
from payment_pipeline.settings import Settings

SettingsOf = Callable[..., Settings]
KEYS = {
    "s3_access_key": "ID",
    "s3_secret_key": "HUSH",
    "trino_password": "loads",
    "trino_reader_password": "looks",
}


def configured(settings: Settings, name: str) -> dict[str, str]:
    trino.write_config(settings)
    lines = (trino.etc(settings) / name).read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def test_trino_listens_only_on_loopback_at_the_configured_port(isolated: SettingsOf) -> None:
    settings = isolated(**KEYS)
    config = configured(settings, "config.properties")
    assert config["http-server.https.port"] == str(settings.trino_port)
    assert config["http-server.http.enabled"] == "false"
    assert config["http-server.authentication.type"] == "PASSWORD"
    assert config["node.bind-ip"] == config["node.internal-address"] == "127.0.0.1"
    assert "$" not in "".join(path.read_text() for path in trino.etc(settings).glob("*.*"))


def test_the_catalog_is_the_one_of_the_stack(isolated: SettingsOf) -> None:
    settings = isolated(**KEYS)
    catalog = configured(settings, "catalog/lakehouse.properties")
    assert catalog["iceberg.rest-catalog.uri"] == settings.catalog
    assert catalog["iceberg.rest-catalog.oauth2.credential"] == "ID:HUSH"
    assert catalog["s3.endpoint"] == settings.s3


def test_polaris_on_minio_needs_only_settings(isolated: SettingsOf) -> None:
    settings = isolated(
        **KEYS,
        catalog_uri="http://polaris:8181/api/catalog",
        catalog_warehouse="lakehouse",
        catalog_credential="root:s3cr3t",
        catalog_oauth_scope="PRINCIPAL_ROLE:ALL",
        s3_endpoint="http://minio:9000",
    )
    catalog = configured(settings, "catalog/lakehouse.properties")
    assert catalog["iceberg.rest-catalog.uri"] == "http://polaris:8181/api/catalog"
    assert catalog["iceberg.rest-catalog.warehouse"] == "lakehouse"
    assert catalog["iceberg.rest-catalog.oauth2.credential"] == "root:s3cr3t"
    assert catalog["iceberg.rest-catalog.oauth2.scope"] == "PRINCIPAL_ROLE:ALL"
    assert catalog["iceberg.rest-catalog.oauth2.server-uri"] == (
        "http://polaris:8181/api/catalog/v1/oauth/tokens"
    )
    assert catalog["s3.endpoint"] == "http://minio:9000"


def test_trino_has_a_catalog_for_each_principal_that_it_acts_as(isolated: SettingsOf) -> None:
    settings = isolated(
        **KEYS,
        catalog_uri="http://polaris:8181/api/catalog",
        catalog_principals=True,
        catalog_transformer_secret="of-dbt",
        catalog_maintenance_secret="of-upkeep",
    )
    credential = "iceberg.rest-catalog.oauth2.credential"
    usual = configured(settings, "catalog/lakehouse.properties")
    upkeep = configured(settings, "catalog/maintenance.properties")
    assert usual.pop(credential) == "payments_transformer:of-dbt"
    assert upkeep.pop(credential) == "payments_maintenance:of-upkeep"
    assert usual == upkeep
    trino.write_config(isolated(**KEYS))
    assert not (trino.etc(settings) / "catalog/maintenance.properties").exists()


def test_trino_takes_the_keys_of_the_catalog_or_its_own(isolated: SettingsOf) -> None:
    vended = "iceberg.rest-catalog.vended-credentials-enabled"
    own = configured(isolated(**KEYS), "catalog/lakehouse.properties")
    assert (own[vended], own["s3.aws-secret-key"]) == ("false", "HUSH")
    given = isolated(
        **{name: value for name, value in KEYS.items() if not name.startswith("s3_")},
        catalog_credential="an-id:a-secret",
        catalog_vended_credentials=True,
    )
    found = configured(given, "catalog/lakehouse.properties")
    assert found[vended] == "true"
    assert not [name for name in found if name.startswith("s3.aws")]


def test_the_reader_of_trino_has_the_marts_alone(isolated: SettingsOf) -> None:
    settings = isolated(**KEYS, trino_reader="looker")
    trino.write_config(settings)
    rules = json.loads((trino.etc(settings) / "rules.json").read_text())
    tables = [rule for rule in rules["tables"] if rule["user"] == "looker"]
    assert tables == [
        {
            "user": "looker",
            "catalog": "lakehouse",
            "schema": "(.+_)?marts",
            "privileges": ["SELECT"],
        },
        {"user": "looker", "catalog": "system", "privileges": ["SELECT"]},
    ]


def test_a_catalog_with_signatures_gets_no_oauth_options(isolated: SettingsOf) -> None:
    settings = isolated(**KEYS, catalog_auth="sigv4", catalog_signing_name="glue")
    catalog = configured(settings, "catalog/lakehouse.properties")
    assert catalog["iceberg.rest-catalog.sigv4-enabled"] == "true"
    assert catalog["iceberg.rest-catalog.signing-name"] == "glue"
    assert not [name for name in catalog if "oauth2" in name]


def test_files_with_a_key_are_private(isolated: SettingsOf) -> None:
    settings = isolated(**KEYS)
    trino.write_config(settings)
    (settings.var / "run").mkdir()
    seaweedfs.prepare(settings, lambda _more, _done: None)
    holders = [trino.etc(settings) / "catalog/lakehouse.properties", seaweedfs.keys_path(settings)]
    for path in holders:
        assert "HUSH" in path.read_text()
        assert path.stat().st_mode & 0o777 == 0o600


def test_trino_knows_its_users_by_hashes_of_their_passwords(isolated: SettingsOf) -> None:
    settings = isolated(**KEYS, trino_user="loader", trino_reader="looker")
    trino.write_config(settings)
    users = trino.etc(settings) / "users"
    assert users.stat().st_mode & 0o777 == 0o600
    found = dict(line.split(":", 1) for line in users.read_text().splitlines())
    assert found.keys() == {"loader", "looker"}
    rounds, salt, digest = found["looker"].split(":")
    again = hashlib.pbkdf2_hmac("sha1", b"looks", bytes.fromhex(salt), int(rounds))
    assert digest == again.hex()


@pytest.mark.parametrize("name", ["rules.json", "resource-groups.json"])
def test_the_rules_name_the_two_configured_users(isolated: SettingsOf, name: str) -> None:
    settings = isolated(**KEYS, trino_user="loader", trino_reader="looker")
    trino.write_config(settings)
    rules = json.loads((trino.etc(settings) / name).read_text())
    listed = rules.get("tables") or rules["selectors"]
    assert {rule["user"] for rule in listed} == {"loader", "looker"}


def test_every_port_of_seaweedfs_is_a_setting(isolated: SettingsOf) -> None:
    settings = isolated(**KEYS)
    options = dict(
        option.removeprefix("-").split("=", 1)
        for option in seaweedfs.command(settings)
        if "=" in option
    )
    assert options["ip.bind"] == "127.0.0.1"
    assert options["s3.port.lance"] == "0", "its default is the port of the normalizer"
    for option, name in seaweedfs.PORTS.items():
        assert options[option] == str(getattr(settings, name))


def test_every_part_of_seaweedfs_demands_a_certificate(isolated: SettingsOf) -> None:
    settings = isolated(**KEYS)
    (settings.var / "run").mkdir()
    seaweedfs.prepare(settings, lambda _more, _done: None)
    written = tomllib.loads((seaweedfs.config_dir(settings) / "security.toml").read_text())
    authority, own = map(str, certificates.paths(settings, "seaweedfs"))
    parts = {option.split(".")[0] for option in seaweedfs.PORTS}
    assert parts <= written["grpc"].keys()
    assert parts - {"s3"} <= written["https"].keys(), "S3 asks for a key instead"
    assert written["grpc"].pop("ca") == authority
    sections = [*written["grpc"].values(), *written["https"].values()]
    assert {(each["cert"], each["key"]) for each in sections} == {(own, own)}
    assert {each["ca"] for each in written["https"].values()} == {authority}


def test_dbt_gets_the_address_of_a_given_cluster(isolated: SettingsOf) -> None:
    authorities = {"trino_authorities": "/etc/own.pem"}
    settings = isolated(trino_url="https://trino.example", trino_user="etl", **authorities)
    given = dbt_environment(settings)
    assert given["DBT_TRINO_HOST"] == "trino.example"
    assert (given["DBT_TRINO_SCHEME"], given["DBT_TRINO_PORT"]) == ("https", "443")
    assert given["DBT_TRINO_USER"] == "etl"
    assert given["DBT_TRINO_AUTHORITIES"] == "/etc/own.pem"
    assert "DBT_TRINO_PASSWORD" not in given
