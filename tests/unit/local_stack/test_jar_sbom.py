"""Tests that the bill of materials names every locked jar and archive, and the jars inside."""

import hashlib
import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from local_stack import jar_sbom, jars
from local_stack.components import kafka, trino
from local_stack.packed_jars import PackedJar, coordinates, packed_jars

DESCRIBED = "groupId = org.example\nartifactId=merged\nversion=1.2\n"


def jar(properties: str = "", also: str = "") -> bytes:
    """A jar with the properties of up to two Maven artifacts."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("META-INF/MANIFEST.MF", "Manifest-Version: 1.0\n")
        for number, text in enumerate(filter(None, (also, properties))):
            archive.writestr(f"META-INF/maven/g{number}/a{number}/pom.properties", text)
    return packed.getvalue()


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


ONE = jar(DESCRIBED, also="groupId=org.other\nartifactId=other\nversion=1.2\n")
BARE = jar()


@pytest.fixture
def archives(tmp_path: Path) -> tuple[Path, Path]:
    """A server with a kept and an unused plugin, and a plugin of its own."""
    server, plugin = tmp_path / "server.tar.gz", tmp_path / "plugin.zip"
    with tarfile.open(server, "w:gz") as packed:
        for name, content in {
            "server/plugin/unused/org.example_merged-1.2.jar": ONE,
            "server/plugin/unused/org.unused_unused-1.0.jar": jar(also="x=y"),
            "server/lib/readme.txt": b"text",
        }.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            packed.addfile(member, io.BytesIO(content))
        link = tarfile.TarInfo("server/plugin/resource-group-managers/org.example_merged-1.2.jar")
        link.type, link.linkname = (
            tarfile.LNKTYPE,
            "server/plugin/unused/org.example_merged-1.2.jar",
        )
        packed.addfile(link)
    with zipfile.ZipFile(plugin, "w") as packed_plugin:
        packed_plugin.writestr("iceberg/com.l...ng_jspecify-1.0.0.jar", BARE)
    return server, plugin


def test_the_kept_jars_of_an_archive_are_listed(archives: tuple[Path, Path]) -> None:
    server, plugin = archives
    assert [*packed_jars(server, trino.is_kept)] == [
        PackedJar("org.example", "merged", "1.2", sha256(ONE))
    ]
    assert [*packed_jars(plugin, trino.is_kept)] == [
        PackedJar("org.jspecify", "jspecify", "1.0.0", sha256(BARE))
    ]


def test_each_locked_file_is_named_with_its_hash_and_each_jar_inside(
    archives: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jars, "fetch", lambda _lock: [*archives])
    listed = {
        (str(each.purl).split("?")[0], next(iter(each.hashes)).content)
        for each in jar_sbom.bom().components
    }
    locked = {
        (f"pkg:maven/{each.groupId}/{each.artifactId}@{each.version}", each.sha256)
        for lock in (kafka.JARS.path, trino.ARCHIVES.path)
        for each in jars.locked(lock)
    }
    assert len(locked) > 40
    assert listed == locked | {
        ("pkg:maven/org.example/merged@1.2", sha256(ONE)),
        ("pkg:maven/org.jspecify/jspecify@1.0.0", sha256(BARE)),
    }


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("org.example_merged-1.2.jar", ("org.example", "merged", "1.2")),
        ("org.e...ple_merged-1.2-linux-x86_64.jar", ("org.example", "merged", "1.2")),
        ("io.airlift_slice-v3-2.3.jar", ("io.airlift", "slice-v3", "2.3")),
        (
            "com.google.errorprone_error_prone-2.0.jar",
            ("com.google.errorprone", "error_prone", "2.0"),
        ),
        (
            "io.opente...mentation_opentelemetry-aws-sdk-2.2-2.16.0-alpha.jar",
            ("io.opentelemetry.instrumentation", "opentelemetry-aws-sdk-2.2", "2.16.0-alpha"),
        ),
        ("trino-iceberg-476-services.jar", ("io.trino", "trino-iceberg", "476")),
    ],
)
def test_coordinates_come_from_the_jar_or_from_its_name(
    name: str, found: tuple[str, str, str]
) -> None:
    assert coordinates(name, ONE) == found


@pytest.mark.parametrize("name", ["unknown-1.0.jar", "com.a...b_unknown-1.0.jar", "unknown.jar"])
def test_a_jar_without_coordinates_is_an_error(name: str) -> None:
    with pytest.raises(ValueError, match=r"unknown"):
        coordinates(name, BARE)
