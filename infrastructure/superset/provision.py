"""Provisions Superset: its database schema, the administrator and the dashboards.

Runs in Superset's own Python environment. Reads the administrator's password from standard input,
because another process of the user could read an environment. Reads these variables, and those of
`superset_config.py`:

- `SUPERSET_TRINO_URI`: the read-only connection to the marts, e.g.
  `trino://superset@127.0.0.1:8080/lakehouse`.
- `SUPERSET_TRINO_OPTIONS`: options of Trino's client as JSON, e.g. `{"http_scheme": "https"}`.
- `SUPERSET_MARTS_SCHEMA`: the marts' schema, if it is not `marts`.

Provisioning is idempotent: it finds each asset by its UUID and overwrites it. It sets the password
again, too.
"""

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import yaml
from flask_migrate import upgrade
from superset.app import create_app

ASSETS = Path(__file__).with_name("assets")
ADMIN = "admin"


def provision(password: str) -> None:
    """Updates Superset's metadata to match the files, and sets the administrator's password.

    Raises:
        KeyError: An environment variable is not set.
        CommandInvalidError, ImportFailedError: Superset does not accept a file.
    """
    contents = dict(_assets(os.environ["SUPERSET_TRINO_URI"]))
    application = create_app()
    with application.app_context():
        # Superset's models can only be imported within its application.
        from superset import security_manager
        from superset.commands.importers.v1.assets import ImportAssetsCommand
        from superset.utils.core import override_user

        upgrade(directory=str(_migrations()))
        application.appbuilder.add_permissions(update_perms=True)
        security_manager.sync_role_definitions()
        with override_user(_administrator(password)):
            ImportAssetsCommand(contents).run()
            _forget_passwords()


def _administrator(password: str) -> object:
    from superset import security_manager

    found = security_manager.find_user(ADMIN)
    if found:
        security_manager.reset_password(found.id, password)
        return found
    role = security_manager.find_role("Admin")
    return security_manager.add_user(ADMIN, "Admin", "", "admin@localhost", role, password)


def _forget_passwords() -> None:
    """Removes passwords that older versions stored: `superset_config.py` gives them now."""
    from superset import db
    from superset.models.core import Database

    db.session.query(Database).update({Database.password: None})
    db.session.commit()


def _assets(trino_uri: str) -> Iterator[tuple[str, str]]:
    """Yields path below `assets/` and text of each file, with address and schema filled in."""
    for path in sorted(ASSETS.rglob("*.yaml")):
        asset = yaml.safe_load(path.read_text())
        if "sqlalchemy_uri" in asset:
            asset["sqlalchemy_uri"] = trino_uri
            options = json.loads(os.environ.get("SUPERSET_TRINO_OPTIONS", "{}"))
            asset["extra"]["engine_params"]["connect_args"].update(options)
        if "table_name" in asset:
            asset["schema"] = os.environ.get("SUPERSET_MARTS_SCHEMA", asset["schema"])
        yield str(path.relative_to(ASSETS)), yaml.safe_dump(asset, sort_keys=False)


def _migrations() -> Path:
    import superset

    return Path(superset.__file__).with_name("migrations")


if __name__ == "__main__":
    given = sys.stdin.readline().rstrip("\n")
    if not given:
        sys.exit(
            "Superset was not provisioned: give the administrator's password on standard input."
        )
    try:
        provision(given)
    except KeyError as missing:
        sys.exit(f"Superset was not provisioned: set the environment variable {missing.args[0]}.")
