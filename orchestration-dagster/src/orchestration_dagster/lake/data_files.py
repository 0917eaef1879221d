"""Which files lie where a table has its own, whoever knows of them?"""

from urllib.parse import urlsplit

from pyarrow import fs
from pyiceberg.io.pyarrow import PyArrowFileIO
from pyiceberg.table import Table


def stored_files(table: Table) -> list[str]:
    """Every file under the table's location: rows, metadata, and what a dead writer left.

    They are places, as `place` makes them of addresses.
    """
    selector = fs.FileSelector(storage_path(table.location()), allow_not_found=True, recursive=True)
    return [info.path for info in file_system(table).get_file_info(selector) if info.is_file]


def storage_path(address: str) -> str:
    """Bucket and key: Trino and PyIceberg need not write one scheme before them."""
    return address.partition("://")[2]


def referenced_files(table: Table, after: int = 0) -> set[str]:
    """The files of rows that a snapshot of the table's has, by their addresses.

    Each snapshot reads its manifests, so of many it takes long: `after` is the sequence number
    before which none is of interest.
    """
    return {
        task.file.file_path
        for snapshot in table.metadata.snapshots
        if (snapshot.sequence_number or 0) > after
        for task in table.scan(snapshot_id=snapshot.snapshot_id).plan_files()
    }


def file_system(table: Table) -> fs.FileSystem:
    """Where they lie."""
    assert isinstance(table.io, PyArrowFileIO)  # noqa: S101 - what reads Parquet here
    location = urlsplit(table.location())
    return table.io.fs_by_scheme(location.scheme, location.netloc)
