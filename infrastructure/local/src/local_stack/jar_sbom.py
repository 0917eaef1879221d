"""The bill of materials of the jars and archives that the components fetch, as CycloneDX.

It is read from the locks. `python -m local_stack.jar_sbom FILE` writes it (`make sbom`).
"""

import sys

from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from jgo.env import LockedDependency
from packageurl import PackageURL

from local_stack import jars
from local_stack.components import components


def bom() -> Bom:
    """One entry for each locked file, with its Maven coordinates and its SHA-256."""
    locks = [lock.path for component in components().values() for lock in component.jars]
    return Bom(components=[_component(entry) for lock in locks for entry in jars.locked(lock)])


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
