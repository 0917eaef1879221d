"""Loads rows from PostgreSQL to Iceberg with pandas or dlt, as the documentation of each shows.

`bench/lake.py` runs this file in an environment with only the packages of the peer. Standard input
gives the source and the destination. The file prints the seconds of the work, without imports.
"""

import json
import sys
import tempfile
from time import perf_counter
from typing import Any, Final

ROWS_MAX: Final = 100_000


def by_pandas(given: dict[str, Any]) -> float:
    """Load rows from a cursor through a data frame and an Arrow table."""
    import pandas as pd
    import psycopg
    import pyarrow as pa
    from pyiceberg.catalog import load_catalog

    start = perf_counter()
    with psycopg.connect(given["dsn"]) as connection, connection.cursor() as cursor:
        cursor.execute(given["query"])
        names = [column.name for column in cursor.description or ()]
        frame = pd.DataFrame(cursor.fetchall(), columns=names)
    catalog = load_catalog("lakehouse", **given["catalog"])
    table = catalog.load_table(tuple(given["table"]))
    schema = table.schema().as_arrow()
    table.append(pa.Table.from_pandas(frame, schema=schema, preserve_index=False))
    return perf_counter() - start


def by_dlt(given: dict[str, Any]) -> float:
    """Load from dlt's SQL source to Iceberg tables on the local disk, without network time."""
    import dlt
    from dlt.sources.sql_database import sql_table
    from sqlalchemy import create_engine

    name = given["table"][1]
    with tempfile.TemporaryDirectory(prefix="bench-dlt-") as folder:
        pipeline = dlt.pipeline(
            "bench",
            pipelines_dir=f"{folder}/pipelines",
            destination=dlt.destinations.filesystem(bucket_url=f"file://{folder}/lake"),
            dataset_name="data",
        )
        source = sql_table(
            create_engine(given["dsn"]), name, chunk_size=ROWS_MAX, backend="pyarrow",
            excluded_columns=["ingest_xid"],
        )  # fmt: skip
        start = perf_counter()
        pipeline.run(source, table_format="iceberg", loader_file_format="parquet")
        return perf_counter() - start


if __name__ == "__main__":
    ways = {"pandas": by_pandas, "dlt": by_dlt}
    print(ways[sys.argv[1]](json.load(sys.stdin)))
