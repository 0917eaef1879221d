"""The catalog and the object store are reached over TLS, with an authority of one's own."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pytest
from pyiceberg.catalog import Catalog

from local_stack import certificates
from orchestration_dagster.lake.catalog import open_catalog
from payment_pipeline.domain.failures import UserError
from payment_pipeline.settings import Settings
from support.tls_front import Front, front

pytestmark = pytest.mark.stack

ROWS = pa.table({"name": ["one", "two"]})


class Fronts(NamedTuple):
    settings: Settings
    catalog: Front
    s3: Front


@pytest.fixture
def fronts(fresh_stack: Callable[..., Settings], tmp_path: Path) -> Iterator[Fronts]:
    store = fresh_stack("seaweedfs")
    with ExitStack() as stack:
        catalog = stack.enter_context(front(tmp_path / "catalog", store.catalog_port))
        s3 = stack.enter_context(front(tmp_path / "s3", store.s3_port))
        yield Fronts(store, catalog, s3)


def opened(found: Fronts, catalog: Path | None, s3: Path | None) -> Catalog:
    given = {
        "catalog_uri": f"https://127.0.0.1:{found.catalog.port}",
        "catalog_authorities": catalog,
        "s3_endpoint": f"https://127.0.0.1:{found.s3.port}",
        "s3_authorities": s3,
    }
    return open_catalog(found.settings.model_validate({**found.settings.model_dump(), **given}))


def test_rows_are_written_and_read_and_another_authority_is_refused(
    fronts: Fronts, tmp_path: Path
) -> None:
    right = opened(fronts, fronts.catalog.authority, fronts.s3.authority)
    right.create_namespace("tls")
    table = right.create_table("tls.rows", ROWS.schema)
    table.append(ROWS)
    assert right.load_table("tls.rows").scan().to_arrow().num_rows == ROWS.num_rows

    other = certificates.ensure(fronts.settings.model_copy(update={"var": tmp_path}), "x").authority
    for unknown in (other, None):
        with pytest.raises(UserError, match=r"No Iceberg catalog answers .*\(SSLError\)"):
            opened(fronts, unknown, fronts.s3.authority)
        with pytest.raises(OSError, match=r"(?i)certificate|SSL"):
            opened(fronts, fronts.catalog.authority, unknown).load_table("tls.rows").append(ROWS)
    assert right.load_table("tls.rows").scan().to_arrow().num_rows == ROWS.num_rows
