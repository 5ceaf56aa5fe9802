"""Every rule writes its log where the report looks for it."""

import re

from disobey.stage_names import STAGES

from .conftest import REPOSITORY


def test_each_rule_logs_below_its_own_stage_by_all_its_wildcards():
    seen = set()
    for path in REPOSITORY.glob("rules/*.smk"):
        for rule in re.split(r"^ *rule\b", path.read_text(), flags=re.M)[1:]:
            stage = re.search(r"-m disobey (\w+)", rule)[1]
            assert f'log_of("{stage}", "' in rule and "results/logs" not in rule
            seen.add(stage)
    assert seen == set(STAGES)
