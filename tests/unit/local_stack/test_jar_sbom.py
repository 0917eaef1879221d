"""Tests that the bill of materials names every locked jar and archive."""

from local_stack import jar_sbom, jars
from local_stack.components import kafka, trino


def test_each_locked_file_is_named_with_its_hash() -> None:
    listed = {
        (str(each.purl).split("?")[0], next(iter(each.hashes)).content)
        for each in jar_sbom.bom().components
    }
    locked = {
        (f"pkg:maven/{each.groupId}/{each.artifactId}@{each.version}", each.sha256)
        for lock in (kafka.JARS.path, trino.ARCHIVES.path)
        for each in jars.locked(lock)
    }
    assert listed == locked
    assert len(listed) > 40
