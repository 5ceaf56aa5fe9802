"""The shipped recipes of the paper's settings and of the field's shared table.

Their learning rates at chosen steps against values worked out by hand from what is published.
"""

from pathlib import Path

import pytest

from disobey.strict import spec_of
from disobey.study.loader import load_study
from disobey.training.schedules import learning_rates

STUDIES = Path(__file__).parents[2] / "workflow/studies"

# Training examples, steps of an epoch and of the training, and rates by step. A warm-up of w steps
# rises in equal parts: step k has (k + 1) / (w + 1) of the peak, and step w the peak itself.
BY_HAND = {
    # 50,000 / 1,024 = 48.8; 15 epochs are 735 steps
    "cifar-v1": (50_000, 49, 22_050, {
        0: 1 / 736, 367: 368 / 736, 734: 735 / 736, 735: 1.0,
        9_799: 1.0, 9_800: 0.1, 14_699: 0.1, 14_700: 0.01, 19_599: 0.01, 19_600: 0.001,
        22_049: 0.001,
    }),
    # 50,000 / 128 = 390.6
    "cifar-v2": (50_000, 391, 78_200, {
        0: 0.1, 23_459: 0.1, 23_460: 0.01, 46_919: 0.01, 46_920: 1e-3, 62_559: 1e-3, 62_560: 1e-4,
        78_199: 1e-4,
    }),
    # 100,000 / 128 = 781.3; 5 epochs are 3,910 steps
    "tiny-imagenet": (100_000, 782, 156_400, {
        0: 0.1 / 3_911, 1_955: 0.1 * 1_956 / 3_911, 3_910: 0.1,
        58_649: 0.1, 58_650: 0.01, 105_569: 0.01, 105_570: 1e-3, 156_399: 1e-3,
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
