"""Prints the results of drills to a terminal."""

from rich.console import Console
from rich.table import Table

from drills.findings import Findings
from drills.result import Result


def show(result: Result, console: Console) -> None:
    """Print the figures of one drill, and a sentence for each requirement that failed."""
    if result.skipped:
        console.print(f"skipped: {result.skipped}", style="yellow", markup=False)
        return
    findings = result.findings
    for name, value in (_counts(findings) | findings.figures).items():
        console.print(f"{name:<34}{_number(value)}", markup=False)
    for fault in (*findings.faults, *findings.late):
        console.print(f"✗ {fault}", style="red", markup=False, soft_wrap=True)
    if not findings.control_failed and not findings.broke:
        console.print("✗ The control did not fail: the drill proves nothing.", style="red")


def show_all(results: list[Result], console: Console) -> None:
    """Print a table with one line per drill."""
    table = Table(box=None, pad_edge=False)
    for title in ("drill", "verdict"):
        table.add_column(title)
    for title in ("acknowledged", "lost", "twice", "unknown", "recovery p95", "95 % bound", "took"):
        table.add_column(title, justify="right")
    table.add_column("control")
    for result in results:
        findings = result.findings
        name, took = f"{result.drill.number} {result.name}", f"{result.seconds:.0f} s"
        if result.skipped:
            table.add_row(name, "[yellow]skipped", *[""] * 6, took, "")
            continue
        recovery, bound = findings.outage_s_p95, findings.rate_max_95
        table.add_row(
            name,
            "[green]ok" if findings.ok else "[red]failed",
            *(
                f"{n:,}"
                for n in (
                    findings.acknowledged,
                    findings.lost,
                    findings.duplicated,
                    findings.unknown,
                )
            ),
            "" if recovery is None else f"{recovery:.1f} s",
            "" if bound is None else f"< {bound:.1e}",
            took,
            _control(findings),
        )
    console.print(table)


def _counts(findings: Findings) -> dict[str, float | int | str]:
    """Return the counts that every drill has, by label. A drill that raised has none."""
    if findings.broke:
        return {}
    recovery, bound = findings.outage_s_p95, findings.rate_max_95
    return {
        "acknowledged": findings.acknowledged,
        "lost": findings.lost,
        "twice": findings.duplicated,
        "unknown": findings.unknown,
        **({} if recovery is None else {"recovery_p95_s": recovery}),
        **({} if bound is None else {"bound_95": f"< {bound:.1e}"}),
    }


def _control(findings: Findings) -> str:
    if findings.broke:
        return "[red]was not run"
    return "[green]failed" if findings.control_failed else "[red]did not fail"


def _number(value: float | str) -> str:
    return f"{value:,}" if isinstance(value, int | float) else value
