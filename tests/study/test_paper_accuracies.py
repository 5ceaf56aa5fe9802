"""The paper's reported accuracies of a setting: valid values, and their effects."""

import json

import pytest

from disobey.errors import UserError
from disobey.study.plan import make_plan

SETTING = "    distill: {temperature: 4, weight: 0.5}\n"
NUMBERS = "{train: [99.97, 99.97, 97.01], test: [72.52, 72.52, 74.55]}"
EXPECTED = {"train": [99.97, 99.97, 97.01], "test": [72.52, 72.52, 74.55]}
SWEEP = "sweeps: {hot: {base: self, vary: {distill.temperature: [4, 8]}}}\nanalysis:"


def reporting(numbers=NUMBERS):
    return SETTING, f"{SETTING}    paper: {numbers}\n"


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ("{test: [72.5, 74.5]}", "28: settings.self.paper.test: must be three numbers between 0"),
        ("{test: [72.5, 72.5, 74.5, 1]}", "28: settings.self.paper.test: must be three numbers"),
        ("{test: 74.5}", "28: settings.self.paper.test: must be three numbers"),
        ("{test: [72.5, 72.5, high]}", "28: settings.self.paper.test: must be three numbers"),
        ("{test: [72.5, 72.5, 101]}", "28: settings.self.paper.test: must be three numbers"),
        ("{test: [72.5, -1, 74.5]}", "28: settings.self.paper.test: must be three numbers"),
        ("{test: [72.5, .nan, 74.5]}", "28: settings.self.paper.test: must be three numbers"),
        ("{test: [yes, 72.5, 74.5]}", "28: settings.self.paper.test: must be three numbers"),
        ("{train: [0.725, 0.725, 0.745]}", "must be in per cent; write [72.5, 72.5, 74.5]"),
        ("{}", "28: settings.self.paper: holds neither train nor test; write test: [72.52"),
        ("{tset: [1, 2, 3]}", "28: settings.self.paper.tset: unknown key 'tset'; did you mean"),
    ],
)
def test_what_is_no_three_percentages_is_refused_with_what_to_write(study, numbers, message):
    with pytest.raises(UserError) as caught:
        study(reporting(numbers))
    assert message in str(caught.value)


def test_they_move_no_id_and_reach_only_what_prints_them(study):
    plain, reported = make_plan(study()).jobs, make_plan(study(reporting())).jobs
    added = set(reported) - set(plain)
    assert added == {("table", "small/paper")} and not set(plain) - set(reported)
    changed = {key for key in plain if reported[key].spec != plain[key].spec}
    assert changed == {("figure", "small/accuracy")}
    for key in (*added, *changed):
        assert json.loads(reported[key].spec)["paper"] == {"self": EXPECTED}


def test_copies_of_a_sweep_are_not_what_the_paper_reports_of(study):
    found = study(reporting(), ("analysis:", SWEEP))
    reported = {name: setting.paper is not None for name, setting in found.settings.items()}
    assert reported == {"self": True, "langid": False, "hot-4": False, "hot-8": False}
