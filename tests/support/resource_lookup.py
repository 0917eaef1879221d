"""Finds every data file of the local stack and of Dagster, and writes what is made of them.

`python -P resource_lookup.py FOLDER` runs with the packages in FOLDER, the files of an unpacked
wheel, and fails if a data file comes from another folder.
"""

import sys
from pathlib import Path

from local_stack import dagster, files, generated_secrets, jars
from local_stack.components import components, superset, trino
from orchestration_dagster.dbt_manifest import manifest
from orchestration_dagster.definitions import defs
from payment_pipeline.settings import load


def main(installed: Path) -> None:
    """Looks up all files.

    Raises:
        AssertionError: a file is missing, or is not in `installed`.
    """
    settings = load()
    files.make_folders(settings)
    generated_secrets.generate(settings)
    trino.write_config(settings)
    dagster.prepare(settings)
    locks = [lock.path for each in components().values() for lock in each.jars]
    assert len(locks) == 2
    assert all(jars.paths(lock) for lock in locks)
    assert list(superset.FOLDER.glob("assets/dashboards/*.yaml"))
    assert manifest().is_relative_to(settings.cache)
    assert list(defs().resolve_all_job_defs()), "Dagster finds the definitions"
    for path in (dagster.TEMPLATE, *locks, superset.FOLDER, settings.dbt_project):
        assert path.is_relative_to(installed), path


if __name__ == "__main__":
    main(Path(sys.argv[1]))
