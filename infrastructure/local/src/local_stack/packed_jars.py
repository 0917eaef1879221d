"""Lists the jars inside an archive, with their Maven coordinates.

The coordinates come from the `pom.properties` in a jar. A jar without that file has them in its
name, which Trino's build writes as `<group>_<artifact>-<version>.jar`, with `...` in a long group.
"""

import hashlib
import io
import re
import tarfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

SUFFIX: Final = ".jar"
_VERSION: Final = re.compile(r"-(?=\d)")
_PROPERTIES: Final = re.compile(r"META-INF/maven/[^/]+/[^/]+/pom\.properties")
SHORTENED: Final = "..."
"""Stands in a file's name for the middle of a long group."""
TRINO: Final = "io.trino"
GROUPS: Final[Mapping[str, str]] = {
    "aopalliance": "aopalliance",
    "checker-qual": "org.checkerframework",
    "detector-resources-support": "com.google.cloud.opentelemetry",
    "guice": "com.google.inject",
    "jspecify": "org.jspecify",
    "opentelemetry-api": "io.opentelemetry",
    "opentelemetry-aws-sdk-2.2": "io.opentelemetry.instrumentation",
    "opentelemetry-aws-xray-propagator": "io.opentelemetry.contrib",
    "opentelemetry-context": "io.opentelemetry",
    "opentelemetry-extension-trace-propagators": "io.opentelemetry",
    "opentelemetry-gcp-resources": "io.opentelemetry.contrib",
    "opentelemetry-instrumentation-api": "io.opentelemetry.instrumentation",
    "opentelemetry-sdk-extension-autoconfigure-spi": "io.opentelemetry",
    "opentelemetry-semconv-incubating": "io.opentelemetry.semconv",
    "secrets-keystore-plugin": "io.airlift",
    "tomlj": "org.tomlj",
}
"""The groups of artifacts whose jar and whose name lack the group."""


class PackedJar(NamedTuple):
    """One jar inside an archive."""

    group: str
    artifact: str
    version: str
    sha256: str


def packed_jars(archive: Path, is_kept: Callable[[str], bool]) -> Iterator[PackedJar]:
    """Yield each jar of a `.tar.gz` or `.zip` archive, in the archive's order.

    Args:
        archive: the archive.
        is_kept: tells by its name in the archive whether a file is unpacked.

    Raises:
        ValueError: neither a jar nor its name has Maven coordinates.
    """
    for name, content in _jars(archive, is_kept):
        group, artifact, version = coordinates(name.rpartition("/")[2], content)
        yield PackedJar(group, artifact, version, hashlib.sha256(content).hexdigest())


def _jars(archive: Path, is_kept: Callable[[str], bool]) -> Iterator[tuple[str, bytes]]:
    """Yield the name and the bytes of each jar. A file that a kept name links to is kept."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as packed:
            for name in packed.namelist():
                if name.endswith(SUFFIX) and is_kept(name):
                    yield name, packed.read(name)
        return
    with tarfile.open(archive) as packed:
        kept = [each for each in packed.getmembers() if is_kept(each.name)]
        wanted = {each.linkname if each.islnk() or each.issym() else each.name for each in kept}
        # In the order of the archive: going back in compressed bytes means to start again.
        for member in packed.getmembers():
            if member.name.endswith(SUFFIX) and member.name in wanted:
                file = packed.extractfile(member)
                if file is not None:
                    yield member.name, file.read()


def coordinates(name: str, content: bytes) -> tuple[str, str, str]:
    """Return group, artifact and version of a jar.

    Args:
        name: the jar's file name.
        content: the jar's bytes.

    Raises:
        ValueError: neither the jar nor its name has Maven coordinates.
    """
    for found in _described(content):
        # A jar may have the properties of the jars that were merged into it. After the version, a
        # name may have the platform.
        if re.search(rf"(?:^|_){re.escape(f'{found[1]}-{found[2]}')}(?:-[a-z0-9_-]+)?\.jar$", name):
            return found
    stem = name.removesuffix(SUFFIX).removesuffix("-services")
    cut = stem.rfind("_") if SHORTENED in stem else stem.find("_")
    before, rest = stem[: max(cut, 0)], stem[cut + 1 :]
    # An artifact's name may end in a number too, such as `opentelemetry-aws-sdk-2.2`.
    splits = [rest[: found.start()] for found in _VERSION.finditer(rest)]
    artifact = next((each for each in splits if each in GROUPS), next(iter(splits), None))
    if artifact is None:
        raise ValueError(f"{name} is no name of a jar with a version.")
    group = before if before and SHORTENED not in before else GROUPS.get(artifact)
    if group is None and artifact.startswith("trino-"):
        group = TRINO
    if group is None:
        raise ValueError(f"{name} has no Maven group. Add it to GROUPS.")
    return group, artifact, rest[len(artifact) + 1 :]


def _described(content: bytes) -> Iterator[tuple[str, str, str]]:
    with zipfile.ZipFile(io.BytesIO(content)) as jar:
        for name in filter(_PROPERTIES.fullmatch, jar.namelist()):
            lines = jar.read(name).decode("latin-1").splitlines()
            pairs = dict(line.split("=", 1) for line in lines if "=" in line)
            values = {key.strip(): value.strip() for key, value in pairs.items()}
            if values.keys() >= {"groupId", "artifactId", "version"}:
                yield values["groupId"], values["artifactId"], values["version"]
