"""The shipped recipes of the paper's settings and of the field's shared table are as published.

Their learning rates at chosen steps are compared with values derived by hand.
"""

from pathlib import Path

import pytest

from disobey.strict import spec_of
from disobey.study.loader import load_study
from disobey.training.schedules import learning_rates

STUDIES = Path(__file__).parents[2] / "workflow/studies"

# Training examples, steps of an epoch and of the training, and rates by step. A warm-up of w steps
# rises in equal parts: step k has (k + 1) / (w + 1) of the peak, and step w the peak itself.
CIFAR = (50_000, 49, 22_050, {
    0: 1 / 736, 367: 368 / 736, 734: 735 / 736, 735: 1.0,
    9_799: 1.0, 9_800: 0.1, 14_699: 0.1, 14_700: 0.01, 19_599: 0.01, 19_600: 0.001,
    22_049: 0.001,
})  # fmt: skip
TINY = (100_000, 782, 156_400, {
    0: 0.1 / 3_911, 1_955: 0.1 * 1_956 / 3_911, 3_910: 0.1,
    58_649: 0.1, 58_650: 0.01, 105_569: 0.01, 105_570: 1e-3, 156_399: 1e-3,
})  # fmt: skip
BY_HAND = {
    # 50,000 / 1,024 = 48.8; 15 epochs are 735 steps
    "cifar": CIFAR,
    "cifar-along": CIFAR,
    # milestones at 200 / 450, 300 / 450 and 400 / 450 of 50,000 steps
    "cifar-longer": (50_000, 49, 50_000, {
        0: 1 / 736, 735: 1.0, 22_221: 1.0, 22_222: 0.1, 33_332: 0.1, 33_333: 0.01, 44_443: 0.01,
        44_444: 0.001, 49_999: 0.001,
    }),
    # 50,000 / 128 = 390.6; 15 epochs are 5,865 steps
    "cifar-small-batch": (50_000, 391, 175_950, {
        0: 0.1 / 5_866, 5_865: 0.1, 78_199: 0.1, 78_200: 0.01, 117_299: 0.01, 117_300: 1e-3,
        156_399: 1e-3, 156_400: 1e-4, 175_949: 1e-4,
    }),
    # 100,000 / 128 = 781.3; 5 epochs are 3,910 steps
    "tiny-imagenet": TINY,
    "tiny-along": TINY,
    # milestones at 75 / 200 and 135 / 200 of 300,000 steps
    "tiny-longer": (100_000, 782, 300_000, {
        0: 0.1 / 3_911, 3_910: 0.1, 112_499: 0.1, 112_500: 0.01, 202_499: 0.01, 202_500: 1e-3,
        299_999: 1e-3,
    }),
    # 1,281,167 / 1,024 = 1,251.1; 5 epochs are 6,260 steps
    "imagenet": (1_281_167, 1_252, 112_680, {
        0: 0.4 / 6_261, 3_130: 0.4 * 3_131 / 6_261, 6_260: 0.4,
        37_559: 0.4, 37_560: 0.04, 75_119: 0.04, 75_120: 4e-3, 100_159: 4e-3, 100_160: 4e-4,
        112_679: 4e-4,
    }),
    # MNLI: 392,702 / 64 = 6,136.0; the fifth epoch ends after 456 of its steps
    "text": (392_702, 6_136, 25_000, {
        0: 1e-5 / 1_001, 499: 1e-5 * 500 / 1_001, 999: 1e-5 * 1_000 / 1_001, 1_000: 1e-5,
        7_000: 0.75e-5, 13_000: 0.5e-5, 24_999: 1e-5 / 24_000,
    }),
    # 50,000 / 64 = 781.3
    "shared-table": (50_000, 782, 187_680, {
        0: 0.05, 117_299: 0.05, 117_300: 0.005, 140_759: 0.005, 140_760: 5e-4, 164_219: 5e-4,
        164_220: 5e-5, 187_679: 5e-5,
    }),
}  # fmt: skip


@pytest.fixture(scope="module")
def recipes():
    paper, shared = (load_study(STUDIES / f"{name}.yaml") for name in ("paper", "cifar100-kd"))
    return paper.recipes | shared.recipes


def test_no_shipped_recipe_is_left_out(recipes):
    assert set(recipes) == set(BY_HAND)


@pytest.mark.parametrize("name", BY_HAND)
def test_learning_rates_are_those_worked_out_by_hand(recipes, name):
    examples, per_epoch, steps, by_hand = BY_HAND[name]
    recipe = spec_of(recipes[name])
    assert -(-examples // recipe["batch"]) == per_epoch
    rates = learning_rates(recipe, per_epoch)
    assert len(rates) == steps
    assert {step: rates[step] for step in by_hand} == pytest.approx(by_hand, rel=1e-12)


# The paper's switch points, in our steps, and its windows.
POINTS = {
    "cifar100-25": 22_050 / 4, "cifar100-50": 22_050 / 2, "cifar100-95": 22_050 * 0.95,
    "cifar100-15k": 22_050 * 15_000 / 21_600,
    "tiny-25": 156_400 / 4, "tiny-50": 156_400 / 2, "tiny-95": 156_400 * 0.95, "tiny-100k": 1e5,
}  # fmt: skip
WINDOWS = {"cifar100": 1_000, "tiny": 10_000}


def test_the_loss_switches_after_the_papers_share_of_the_steps():
    settings = load_study(STUDIES / "paper.yaml").settings
    switches = {n: (s, s.distill.switch) for n, s in settings.items() if s.distill.switch}
    assert len(switches) == 2 * len(POINTS)
    for name, (setting, switch) in switches.items():
        data, *_, point = name.split("-")
        steps = BY_HAND[setting.recipe][2]
        assert switch.unit == "steps" and data in setting.dataset
        assert switch.at * steps == pytest.approx(POINTS[f"{data}-{point}"], rel=1e-3), name
        assert switch.ramp * steps == pytest.approx(WINDOWS[data], rel=2e-3), name
