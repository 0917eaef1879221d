"""The files under a table's location, and those that its snapshots reference."""

from urllib.parse import urlsplit

from pyarrow import fs
from pyiceberg.io.pyarrow import PyArrowFileIO
from pyiceberg.table import Table


def stored_files(table: Table) -> list[str]:
    """The paths of all files under the table's location: data, metadata and orphans.

    Paths have the form that `storage_path` returns.
    """
    selector = fs.FileSelector(storage_path(table.location()), allow_not_found=True, recursive=True)
    return [info.path for info in file_system(table).get_file_info(selector) if info.is_file]


def storage_path(address: str) -> str:
    """Bucket and key of an address. Trino and PyIceberg may write different schemes before them."""
    return address.partition("://")[2]


def referenced_files(table: Table, after: int = 0) -> set[str]:
    """The addresses of the data files that the table's snapshots reference.

    Reading the manifests of many snapshots takes long. Snapshots up to the sequence number `after`
    are left out.
    """
    return {
        task.file.file_path
        for snapshot in table.metadata.snapshots
        if (snapshot.sequence_number or 0) > after
        for task in table.scan(snapshot_id=snapshot.snapshot_id).plan_files()
    }


def file_system(table: Table) -> fs.FileSystem:
    """The file system that stores the table's files."""
    assert isinstance(table.io, PyArrowFileIO)  # noqa: S101 - what reads Parquet here
    location = urlsplit(table.location())
    return table.io.fs_by_scheme(location.scheme, location.netloc)
