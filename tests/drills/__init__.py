"""Drills: fault tests of the pipeline's promises on real processes. Each drill measures figures.

`make chaos` runs all drills. `make chaos ARGS="NAME --seed S --rounds N"` runs one. The folder
`catalogue` is the registry: the module `catalogue/<name>.py` with a `DRILL` defines the drill
`<name>`. Underscores in the file name become hyphens. To add a drill, write one file:

    DRILL = Drill(
        number=12, promise="one sentence", needs=("gateway", "worker"), run=run, full_rounds=10
    )

    def run(context: DrillContext) -> Findings:
        findings = Findings()
        ...                            # use the stack of context.settings from outside
        findings.require(holds, "a sentence that says what is wrong")
        findings.control_failed = ...  # did the same check fail without the protection?
        return findings

- `context.settings` describes an isolated stack without user data. Everything in `needs`, and what
  that depends on, is ready. All drills of one command share the stack, one after another. So repair
  what the drill breaks, and check only events that the drill sent (`context.began_at`, a separate
  ledger).
- Scale with `context.rounds`. One round is the size for `make test` (about ten seconds).
  `full_rounds` is the size behind the figures in `docs/reliability.md` (`make chaos ARGS=--full`).
- Make every random choice with `context.rng`, so that the seed repeats the choice.
- A control removes a protection: it composes, subclasses or patches product code in a separate
  process (see `controls`). Product code has no switch for this.
- A drill that cannot run on this machine raises `SkippedError` with a sentence that says why.
"""
