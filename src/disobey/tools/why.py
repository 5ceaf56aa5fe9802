"""``python -m disobey why [STUDY]``: the jobs that would run now, with the reasons."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from disobey.errors import UserError
from disobey.study.loader import load_study
from disobey.study.plan import make_plan
from disobey.study.staleness import CodeDigests, why
from disobey.tools import described

# Of a checkout; a wheel has no workflow beside it.
CAPTIONS = Path(__file__).parents[3] / "workflow" / "report"

# Reasons that are printed of one job: a report has an input for each table, figure and analysis.
SHOWN = 5


def main(arguments: Sequence[str]) -> int:
    """Print one line per stale job; 2 where the study file cannot be used."""
    parser = argparse.ArgumentParser(prog="python -m disobey why", description=described(__doc__))
    parser.add_argument("study", nargs="?", default="config.yaml")
    parser.add_argument("--captions", type=Path, default=CAPTIONS)
    parser.add_argument("--strict", action="store_true", help="ignore what was accepted")
    options = parser.parse_args(arguments)
    try:
        plan = make_plan(load_study(options.study))
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    reasons = why(plan, CodeDigests(options.captions), strict=options.strict)
    for (stage, key), words in reasons.items():
        more = f"; and {len(words) - SHOWN} more" if len(words) > SHOWN else ""
        print(f"{stage} {key}: {'; '.join(words[:SHOWN])}{more}")
    print(f"{len(reasons)} of {len(plan.jobs)} jobs would run" if reasons else "nothing to be done")
    return 0
