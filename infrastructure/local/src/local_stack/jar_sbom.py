"""Which jars and archives does the native stack fetch? As CycloneDX, from their locks alone.

`python -m local_stack.jar_sbom FILE` writes it (`make sbom`).
"""

import sys
from pathlib import Path

from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from jgo.env import LockedDependency
from packageurl import PackageURL

from local_stack import jars
from local_stack.components import trino


def bom() -> Bom:
    """One component a locked file, by its Maven coordinates and its sha256."""
    return Bom(components=[_component(entry) for lock in _locks() for entry in jars.locked(lock)])


def _locks() -> tuple[Path, ...]:
    return jars.LOCK, trino.LOCK


def _component(entry: LockedDependency) -> Component:
    purl = PackageURL(
        type="maven",
        namespace=entry.groupId,
        name=entry.artifactId,
        version=entry.version,
        qualifiers={} if entry.packaging == "jar" else {"type": entry.packaging},
    )
    return Component(
        type=ComponentType.LIBRARY,
        group=entry.groupId,
        name=entry.artifactId,
        version=entry.version,
        purl=purl,
        bom_ref=str(purl),
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=str(entry.sha256))],
    )


if __name__ == "__main__":
    JsonV1Dot6(bom()).output_to_file(sys.argv[1], allow_overwrite=True, indent=2)
