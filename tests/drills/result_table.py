"""Prints the results of drills to a terminal."""

from rich.console import Console
from rich.table import Table

from drills.findings import Findings
from drills.result import Result


def show(result: Result, console: Console) -> None:
    """One drill's figures, and each sentence about what did not hold."""
    if result.skipped:
        console.print(f"skipped: {result.skipped}", style="yellow", markup=False)
        return
    found = result.findings
    for name, value in (_counts(found) | found.figures).items():
        console.print(f"{name:<34}{_number(value)}", markup=False)
    for fault in (*found.faults, *found.late):
        console.print(f"✗ {fault}", style="red", markup=False, soft_wrap=True)
    if not found.control_failed and not found.broke:
        console.print("✗ The control did not fail: the drill proves nothing.", style="red")


def show_all(results: list[Result], console: Console) -> None:
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
            _control(found),
        )
    console.print(table)


def _counts(found: Findings) -> dict[str, float | int | str]:
    """What every drill says, in the table's words; nothing of one that broke."""
    if found.broke:
        return {}
    recovery, bound = found.recovery_s_p95, found.rate_max_95
    return {
        "acknowledged": found.acknowledged,
        "lost": found.lost,
        "twice": found.duplicated,
        "unknown": found.unknown,
        **({} if recovery is None else {"recovery_p95_s": recovery}),
        **({} if bound is None else {"bound_95": f"< {bound:.1e}"}),
    }


def _control(found: Findings) -> str:
    if found.broke:
        return "[red]was not run"
    return "[green]failed" if found.control_failed else "[red]did not fail"


def _number(value: float | str) -> str:
    return f"{value:,}" if isinstance(value, int | float) else value
