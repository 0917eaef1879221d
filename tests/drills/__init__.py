"""Drills: what the pipeline promises, tried on real processes, with a figure at the end.

`make chaos` runs all of them, `make chaos ARGS="NAME --seed S --rounds N"` one. The folder
`catalogue` is the registry: a module `catalogue/<name>.py` with a `DRILL` is the drill `<name>`,
with hyphens for underscores. To add a drill, write that file and nothing else:

    DRILL = Drill(
        number=12, promise="one sentence", needs=("gateway", "worker"), run=run, full_rounds=10
    )

    def run(context: DrillContext) -> Findings:
        findings = Findings()
        ...                                # drive context.settings' stack from outside
        findings.require(holds, "a sentence that says what is wrong if it doesn't")
        findings.control_failed = ...  # did the same check fail without the protection?
        return findings

- `context.settings` is an isolated stack on which everything in `needs` (and what that needs) is
  ready: nobody's data but the drills'. The drills of one call share it one after another, so put
  right what you break, and look only at what you sent (`context.began_at`, a ledger of your own).
- Scale with `context.rounds`: one round is what `make test` has time for (some ten seconds), and
  `full_rounds` are what the figure in `docs/reliability.md` takes (`make chaos ARGS=--full`).
- Take every choice from `context.rng`, so that the seed repeats it.
- A control takes a protection away by composing, subclassing or patching in a process of the
  drill's own (`controls`): product code has no switch for it.
- A drill that can't be run here raises `SkippedError` with a sentence.
"""
