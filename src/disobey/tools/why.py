"""``python -m disobey why [STUDY]``: the jobs that would run now, with the reasons."""

from collections.abc import Sequence

from disobey.study.loader import load_study
from disobey.study.plan import make_plan
from disobey.study.staleness import CodeDigests, why
from disobey.tools import argument_parser, tool

# Reasons that are printed of one job: a report has an input for each table, figure and analysis.
SHOWN = 5


@tool
def main(arguments: Sequence[str]) -> int:
    """Print one line per stale job; 2 where the study file cannot be used."""
    parser = argument_parser("why", __doc__)
    parser.add_argument("study", nargs="?", default="config.yaml")
    parser.add_argument("--strict", action="store_true", help="ignore what was accepted")
    options = parser.parse_args(arguments)
    plan = make_plan(load_study(options.study))
    reasons = why(plan, CodeDigests(), strict=options.strict)
    for (stage, key), words in reasons.items():
        more = f"; and {len(words) - SHOWN} more" if len(words) > SHOWN else ""
        print(f"{stage} {key}: {'; '.join(words[:SHOWN])}{more}")
    print(f"{len(reasons)} of {len(plan.jobs)} jobs would run" if reasons else "nothing to be done")
    return 0
