"""The bill of materials of the jars and archives that the components fetch, as CycloneDX.

It lists each locked file, and each jar that is unpacked from a locked archive. An archive that is
not fetched yet is fetched first. `python -m local_stack.jar_sbom FILE` writes it (`make sbom`).
"""

import sys
from typing import Final

from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from jgo.env import LockedDependency
from packageurl import PackageURL

from local_stack import jars
from local_stack.components import components
from local_stack.packed_jars import PackedJar, packed_jars

JAR: Final = "jar"


def bom() -> Bom:
    """One entry for each file, with its Maven coordinates and its SHA-256.

    Raises:
        UserError: an archive can't be fetched.
    """
    found = Bom()
    for component in components().values():
        for lock in component.jars:
            entries = jars.locked(lock.path)
            locked = [_locked(entry) for entry in entries]
            if any(entry.packaging != JAR for entry in entries):
                for described, path in zip(locked, jars.fetch(lock.path), strict=True):
                    inside = [*map(_packed, dict.fromkeys(packed_jars(path, lock.is_kept)))]
                    found.components.update(inside)
                    found.register_dependency(described, inside)
            found.components.update(locked)
    return found


def _locked(entry: LockedDependency) -> Component:
    coordinates = entry.groupId, entry.artifactId, str(entry.version)
    return _component(*coordinates, entry.packaging, str(entry.sha256))


def _packed(jar: PackedJar) -> Component:
    return _component(jar.group, jar.artifact, jar.version, JAR, jar.sha256)


def _component(group: str, artifact: str, version: str, packaging: str, sha256: str) -> Component:
    purl = PackageURL(
        type="maven",
        namespace=group,
        name=artifact,
        version=version,
        qualifiers={} if packaging == JAR else {"type": packaging},
    )
    return Component(
        type=ComponentType.LIBRARY,
        group=group,
        name=artifact,
        version=version,
        purl=purl,
        # Jars for two platforms have the same coordinates.
        bom_ref=f"{purl}#{sha256}",
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=sha256)],
    )


if __name__ == "__main__":
    JsonV1Dot6(bom()).output_to_file(sys.argv[1], allow_overwrite=True, indent=2)
