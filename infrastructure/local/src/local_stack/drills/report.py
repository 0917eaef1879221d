"""How does a person read what the drills found?"""

from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from local_stack.drills.run import Result


def show(result: "Result", console: Console) -> None:
    """One drill's figures, and each sentence about what did not hold."""
    if result.skipped:
        console.print(f"skipped: {result.skipped}", style="yellow", markup=False)
        return
    found = result.findings
    for name, value in found.figures.items():
        console.print(f"{name:<34}{_number(value)}", markup=False)
    for fault in (*found.faults, *found.late):
        console.print(f"✗ {fault}", style="red", markup=False, soft_wrap=True)
    if not found.control_failed:
        console.print("✗ The control did not fail: the drill proves nothing.", style="red")


def show_table(results: "list[Result]", console: Console) -> None:
    """All drills, one a line."""
    table = Table(box=None, pad_edge=False)
    for title in ("drill", "verdict"):
        table.add_column(title)
    for title in ("acknowledged", "lost", "twice", "unknown", "recovery p95", "95 % bound", "took"):
        table.add_column(title, justify="right")
    table.add_column("control")
    for result in results:
        found = result.findings
        name, took = f"{result.drill.number} {result.name}", f"{result.seconds:.0f} s"
        if result.skipped:
            table.add_row(name, "[yellow]skipped", *[""] * 6, took, "")
            continue
        recovery, bound = found.recovery_s_p95, found.rate_max_95
        table.add_row(
            name,
            "[green]ok" if found.ok else "[red]failed",
            *(f"{n:,}" for n in (found.acknowledged, found.lost, found.duplicated, found.unknown)),
            "" if recovery is None else f"{recovery:.1f} s",
            "" if bound is None else f"< {bound:.1e}",
            took,
            "[green]failed" if found.control_failed else "[red]did not fail",
        )
    console.print(table)


def _number(value: float | str) -> str:
    return f"{value:,}" if isinstance(value, int | float) else value
