"""The rotation of the object store's keys on a running stack."""

from collections.abc import Callable

import pyarrow as pa
import pytest
from pydantic import SecretStr
from pyiceberg.exceptions import ForbiddenError, UnauthorizedError

from local_stack import supervisor
from orchestration_dagster.lake.catalog import open_catalog
from payment_operations import rotation
from payment_pipeline.domain.failures import UserError
from payment_pipeline.settings import Settings

pytestmark = pytest.mark.stack

KEYS = ("s3_access_key", "s3_secret_key")


def test_the_object_stores_keys_are_replaced_and_its_data_stays(
    fresh_stack: Callable[..., Settings],
) -> None:
    settings = fresh_stack("postgres", "seaweedfs")
    rows = pa.table({"amount": [1999]})
    catalog = open_catalog(settings)
    catalog.create_namespace("kept")
    catalog.create_table("kept.amounts", rows.schema).append(rows)
    old = {name: SecretStr(settings.secret(name)) for name in KEYS}
    pid = supervisor.states(settings)["postgres"]["pid"]

    assert rotation.rotate_held(settings, "s3") == ["seaweedfs"]

    assert not {settings.secret(name) for name in KEYS} & {
        value.get_secret_value() for value in old.values()
    }
    table = open_catalog(settings).load_table("kept.amounts")
    assert table.scan().to_arrow() == rows
    with pytest.raises((UserError, ForbiddenError, UnauthorizedError)):
        open_catalog(settings.model_copy(update=old)).list_namespaces()
    assert supervisor.states(settings)["postgres"]["pid"] == pid, "no other component is restarted"
