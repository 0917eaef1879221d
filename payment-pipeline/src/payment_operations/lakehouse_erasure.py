"""The lakehouse part of an erasure: the lake, the marts, Superset's cache."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from local_stack.components import superset
from orchestration_dagster.lake import erase
from payment_pipeline.settings import Settings

from . import dbt_command


@dataclass(frozen=True)
class WholeLake:
    """The lakehouse of the settings, as `erasure.erasure_steps.Lakehouse` describes it."""

    settings: Settings
    rebuild_marts: Callable[[Settings], None] = dbt_command.rebuild
    """Builds every model from the lake."""
    schemas: tuple[str, ...] = ()
    """The schemas to search; all of them if empty."""

    def find(self, patterns: Sequence[str]) -> dict[str, int]:
        """Count the rows that match a pattern, by table; Superset's cache is among the tables."""
        found = erase.find(self.settings, patterns, self.schemas)
        if answers := superset.cached(self.settings, patterns):
            found["superset/cache"] = answers
        return found

    def catch_up(self, xid: int) -> None:
        """Load bronze's rows up to a transaction."""
        erase.catch_up(self.settings, xid)

    def rebuild(self) -> None:
        """Build every model from the lake."""
        self.rebuild_marts(self.settings)

    def forget_history(self, patterns: Sequence[str]) -> None:
        """Keep only the current snapshot of each table, and empty Superset's cache."""
        erase.forget_history(self.settings, patterns, self.schemas)
        superset.forget_cached(self.settings)
