"""`servekit doctor`."""

from pathlib import Path

from servekit_cli.options import SpecOption

__all__ = ["run"]


def run(file: SpecOption = Path()) -> int:
    """Check spec, predictor and environment, and say what to do.

    The environment is made if need be, and the predictor is imported; its setup is not run.
    """
    from servekit_cli.diagnosis import diagnose  # noqa: PLC0415 - `servekit doctor --help` answers at once
    from servekit_cli.terminal import paint  # noqa: PLC0415

    marks = {
        "good": paint("ok     ", "green"),
        "note": paint("note   ", "dim"),
        "warning": paint("warning", "yellow"),
        "problem": paint("problem", "red"),
    }
    has_problem = False
    for finding in diagnose(file):
        first, *more = finding.text.splitlines()
        print(f"{marks[finding.grade]}  {finding.subject}: {first}", flush=True)  # noqa: T201 - findings are the result
        for line in more:
            print(f"         {line}", flush=True)  # noqa: T201
        has_problem = has_problem or finding.grade == "problem"
    return 1 if has_problem else 0
