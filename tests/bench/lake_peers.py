"""What else takes rows from PostgreSQL to Iceberg? pandas, and dlt: each as its own docs show it.

Run by `bench/lake.py` in an environment with only the peer's packages: it prints the seconds that
the work took, imports left out. Standard input says where the rows are and where they go.
"""

import json
import sys
import tempfile
from time import perf_counter
from typing import Any, Final

ROWS_MAX: Final = 100_000


def by_pandas(given: dict[str, Any]) -> float:
    """A cursor's rows as a data frame, and the frame as Arrow."""
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
    """Its SQL source into its Iceberg tables, on this disk: no network is held against it."""
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
