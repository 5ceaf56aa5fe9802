"""``python -m disobey plan [study.yaml]``: what a study asks for, or the first mistake in it."""

import argparse
import sys
from collections import Counter
from collections.abc import Sequence

from disobey.errors import UserError
from disobey.study.loader import load_study
from disobey.study.plan import make_plan


def main(arguments: Sequence[str]) -> int:
    """Print the plan of a study file; 2 where the file cannot be used."""
    parser = argparse.ArgumentParser(prog="python -m disobey plan", description=__doc__)
    parser.add_argument("study", nargs="?", default="config.yaml")
    options = parser.parse_args(arguments)
    try:
        study = load_study(options.study)
        plan = make_plan(study)
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    print(f"study {study.study}: seeds {', '.join(map(str, study.seeds))}")
    for name, runs in plan.settings.items():
        setting = study.settings[name]
        print(
            f"  {name}: {setting.teacher} -> {setting.student} on {setting.dataset}, "
            f"T = {setting.distill.temperature:g}, weight = {setting.distill.weight:g}"
        )
        for role, ids in (
            ("teacher", runs.teachers),
            ("reference", runs.references),
            ("student", runs.students),
        ):
            print(f"    {role:<9} {'  '.join(ids)}")
    for stage, count in Counter(stage for stage, _ in plan.jobs).items():
        print(f"  {count:>5} {stage}")
    return 0
