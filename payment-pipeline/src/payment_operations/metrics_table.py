"""The table of all metrics, generated from the code."""

from importlib import import_module
from pathlib import Path
from typing import Final, NamedTuple

from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.metrics import MetricWrapperBase

from payment_pipeline.domain.failures import UserError

PATH: Final = Path("docs/guides/metrics.md")
"""In the repository; the command is called in its root folder."""
MODULES: Final = {
    "every process": "payment_pipeline.telemetry.stage_process",
    "gateway": "payment_pipeline.gateway.gateway_metrics",
    "normalizer": "payment_pipeline.normalizer.normalizer_metrics",
    "dispatcher": "payment_pipeline.orchestrator.dispatcher.dispatcher_metrics",
    "worker": "payment_pipeline.orchestrator.worker.worker_telemetry",
    "inference": "payment_pipeline.inference.inference_metrics",
    "lake-metrics": "orchestration_dagster.lake.lake_metrics",
}
"""The module that defines the metrics of each process."""
TYPES: Final = {Counter: "counter", Gauge: "gauge", Histogram: "histogram"}
HEAD: Final = """\
# Metrics

`payments metrics` writes this page from the code; a test fails if the page is out of date. Names
follow Prometheus' conventions: base units, `_total` for counters, `_info` for constants. Each
process serves its metrics at `/metrics`, together with those of Python and of the process
(`process_cpu_seconds_total`, …). [Observability](observability.md) says how they are used."""


class Metric(NamedTuple):
    """One metric as Prometheus scrapes it."""

    name: str
    type: str
    labels: tuple[str, ...]
    says: str

    @property
    def series(self) -> tuple[str, ...]:
        """The names that a query can use."""
        if self.type != "histogram":
            return (self.name,)
        return tuple(f"{self.name}_{part}" for part in ("bucket", "count", "sum"))


def metrics() -> dict[str, list[Metric]]:
    """All metrics of the product, by the process that serves them."""
    return {service: _of(module) for service, module in MODULES.items()}


def write(path: Path = PATH) -> bool:
    """Write the table; return whether it changed."""
    if path.exists() and path.read_text() == _text():
        return False
    path.write_text(_text())
    return True


def check(path: Path = PATH) -> None:
    """Compare the table with the code.

    Raises:
        UserError: the table is out of date.
    """
    if not path.exists() or path.read_text() != _text():
        raise UserError(f"{path.name} is out of date. Run `payments metrics`.", 1)


def _of(module: str) -> list[Metric]:
    defined = vars(import_module(module)).values()
    return [_metric(each) for each in defined if isinstance(each, MetricWrapperBase)]


def _metric(defined: MetricWrapperBase) -> Metric:
    (family,) = defined.describe()
    counter = isinstance(defined, Counter)
    return Metric(
        name=f"{family.name}_total" if counter else family.name,
        type=TYPES[type(defined)],
        labels=tuple(defined._labelnames),  # noqa: SLF001 - the library has no public attribute
        says=family.documentation,
    )


def _text() -> str:
    parts = [HEAD]
    for service, found in metrics().items():
        parts.append(f"\n## {service.capitalize()}\n")
        parts.append("| metric | type | labels | meaning |\n|---|---|---|---|")
        parts += [
            f"| `{each.name}` | {each.type} | {', '.join(f'`{name}`' for name in each.labels)} "
            f"| {each.says} |"
            for each in found
        ]
    return "\n".join(parts) + "\n"
