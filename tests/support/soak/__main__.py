"""The long soak, as a program: exit code 1 when anything was found."""

import argparse
import random
import sys

from soak.drive import KINDS, soak


def main() -> int:
    """Soak each kind of predictor."""
    parser = argparse.ArgumentParser(prog="python -m soak", description=__doc__)
    parser.add_argument("--predictions", type=int, default=20_000, help="for all kinds together")
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1_000_000))
    parser.add_argument("--kind", choices=KINDS, action="append", help="only this one; may be given again")
    options = parser.parse_args()
    kinds = options.kind or KINDS
    is_clean = True
    for kind in kinds:
        count = options.predictions // len(kinds)
        report = soak(kind, predictions=count, warmup=count // 10, clients=options.clients, seed=options.seed)
        sys.stdout.write(f"{report}\n")
        sys.stdout.flush()
        is_clean = is_clean and not report.faults
    return 0 if is_clean else 1


if __name__ == "__main__":
    sys.exit(main())
