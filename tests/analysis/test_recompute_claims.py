"""bias.csv and claims.csv are recomputed from histories and logits by independent code."""

import json

import numpy as np
import pandas as pd
import pytest
from made_runs import (
    LAYER,
    MANY,
    PAIRS,
    bias_spec,
    many_directions,
    networks_progress,
    run_bias,
    steps,
    write_logits,
    write_run,
)
from recompute import recompute

from disobey.analysis import store
from disobey.stages.command import main

pytestmark = pytest.mark.slow

SIZES, CLASSES, SEEDS = {"train": 130, "test": 210}, 5, (0, 1, 2)
ABOUT = {
    "dataset": "made", "label_noise": 0.2, "teacher": "m", "student": "m", "temperature": 4.0,
    "weight": 1.0, "lr": 0.1, "epochs": 8,
}  # fmt: skip
SWITCH = {"switch": {"order": "distillation_first", "at": 0.5}}
OTHER_SWITCH = {"switch": {"order": "one_hot_first", "at": 0.5, "ramp": 0.25}}
FITS = {"teacher_fits": "interpolating", "teacher_recipe": "long"}
MISSES = {"teacher_fits": "non_interpolating", "teacher_recipe": "short"}
LONGER = {"epochs": 16}
NEVER = {"switch": {"order": "one_hot_first", "at": 1}}
# setting: teacher, student, what is said of it besides ABOUT, seeds
SETTINGS = {
    "noisy": ("loose", "better", {}, SEEDS),
    "noisy-switch": ("loose", "best", SWITCH, SEEDS),
    "tight": ("tight", "better", FITS, SEEDS),
    "tight-switch": ("tight", "worse", FITS | SWITCH, SEEDS),
    "loose": ("loose", "best", MISSES, SEEDS),
    "loose-switch": ("loose", "better", MISSES | SWITCH, SEEDS),
    "alone-switch": ("loose", "better", MISSES | OTHER_SWITCH, SEEDS),
    "liar": ("loose", "better", FITS | LONGER, SEEDS),
    "liar-switch": ("loose", "best", FITS | LONGER | SWITCH, SEEDS),
    "honest": ("loose", "worse", MISSES | LONGER, SEEDS),
    "lonely-switch": ("loose", "worse", {"lr": 0.3} | SWITCH, SEEDS),
    "end-switch": ("loose", "better", NEVER, SEEDS),
    "noisy@5": ("loose", "worse", {"epoch": 5}, SEEDS),
    "clean": ("loose", "better", {"label_noise": 0.0, "lr": 0.7}, SEEDS),
    "single": ("loose", "better", {"lr": 0.5}, (0,)),
    "untaught": ("poor", "better", {"lr": 0.9}, SEEDS),
}
# setting: bias of the student by layer, placebos
BIASES = {
    "noisy": ({LAYER: 0.9, "hidden_2": 0.0}, ("batch_order", "half_lr")),
    "clean": ({LAYER: -4.0}, ("label_smoothing",)),
    "loose": ({LAYER: 0.3}, ()),
    "single": ({LAYER: 0.9}, ("batch_order",)),
}
# Of these pairs are counted.
PAIRED = ("clean",)


def write_all_logits(folder):
    """Write logits of every role; the tight teacher fits every given training label."""
    rng = np.random.default_rng(1)
    signal = {split: 1.5 * rng.normal(size=(n, CLASSES)) for split, n in SIZES.items()}
    clean = {split: z.argmax(1) for split, z in signal.items()}
    label = {split: values.copy() for split, values in clean.items()}
    label["train"][:25] = (label["train"][:25] + 1) % CLASSES
    fitted = signal | {"train": signal["train"] + 40 * np.eye(CLASSES)[label["train"]]}
    roles = {"loose": 1.0, "tight": 1.0, "reference": 1.0, "better": 1.3, "best": 2.5, "worse": 0.7,
             "poor": 0.0}  # fmt: skip
    return {
        (role, seed): write_logits(
            folder, f"{role}-{seed}", rng, fitted if role == "tight" else signal, label, clean,
            scale,
        )
        for role, scale in roles.items()
        for seed in SEEDS
    }  # fmt: skip


def run_setting(folder, name, logits):
    teacher, student, about, seeds = SETTINGS[name]
    roles = {"teachers": teacher, "references": "reference", "students": student}
    spec = {role: [f"{who}-{seed}" for seed in seeds] for role, who in roles.items()}
    spec |= {"about": ABOUT | about, "seeds": list(seeds)}
    spec["analysis"] = {"resamples": 12, "seed": 5}
    inputs = {logits[who, seed] for who in roles.values() for seed in seeds}
    output = folder / "results" / "small" / "analysis" / f"{name}.nc.json"
    call = ["--spec", json.dumps(spec), "--inputs", *sorted(inputs), "--output", str(output)]
    assert main("confidence", call) == 0
    return str(output)


def run_bias_of(folder, name, rng):
    by_layer, placebos = BIASES[name]
    seeds, step = SETTINGS[name][3], steps()
    paired = name in PAIRED
    way = many_directions if paired else networks_progress
    models = (*(["teacher"] if paired else []), "reference", "student", *placebos)
    runs = {m: [f"{name}-{m}-{seed}" for seed in seeds] for m in models}
    # The second seed has a basis of its own.
    other = {"basis": "of-1", "rank": (1, 2, 3, 5, 10), "eigenvalue": (5.0, 3.0, 2.0, 1.0, 0.3)}
    bases = {seed: MANY if paired else other if seed == 1 else {} for seed in seeds}
    manifests = []
    for model, ids in runs.items():
        rate = 0.5 if model == "half_lr" else 1.0
        for id, seed in zip(ids, seeds, strict=True):
            layers = {
                layer: way(rng, rate * step, strength * (model == "student"))
                for layer, strength in by_layer.items()
            }
            manifests.append(write_run(folder, id, step, layers, **bases[seed]))
    spec = bias_spec(runs, seeds, layers=list(by_layer), about=ABOUT | SETTINGS[name][2])
    spec |= {"pairs": PAIRS} if paired else {}
    status, output = run_bias(folder, name, spec, manifests)
    assert status == 0
    return output


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    logits, rng = write_all_logits(folder), np.random.default_rng(2)
    analyses = [run_setting(folder, name, logits) for name in SETTINGS]
    analyses += [run_bias_of(folder, name, rng) for name in BIASES]
    held = [name for name in SETTINGS if "@" not in name]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store, "read_analysis", read_once())  # five tables read the same stores
        for table in ("confidence", "accuracy", "bias", "claims", "summary"):
            spec = {"study": "small", "settings": held, "table": table}
            output = folder / "results" / "small" / "tables" / f"{table}.csv.json"
            call = ["--spec", json.dumps(spec), "--inputs", *analyses, "--output", str(output)]
            assert main("table", call) == 0
    return folder


def read_once():
    """Return a `read_analysis` with a cache."""
    read, kept = store.read_analysis, {}

    def from_memory(manifest, **options):
        if manifest.id not in kept:
            kept[manifest.id] = read(manifest, **options)
        return kept[manifest.id]

    return from_memory


def table(study, name, folder="results/small/tables"):
    path = study / folder / f"{name}.csv"
    return pd.read_csv(path, keep_default_na=False, na_values={"value": [""], "p": [""]})


def test_every_row_is_what_an_independent_computation_gives(study):
    assert recompute(study) == []


def test_the_study_has_claims_of_every_kind_and_verdict(study):
    claims = table(study, "claims")
    assert set(claims.verdict) == {"holds", "contrary", "undecided", "withheld"}
    assert claims.claim.nunique() == 17
    assert "end-switch" not in set(claims.setting)
    bias = claims[(claims.claim == "bias") & claims.counted].set_index("setting").verdict
    assert bias.to_dict() == {
        "noisy": "holds", "clean": "contrary", "loose": "withheld", "single": "undecided",
    }  # fmt: skip
    withheld = claims[claims.verdict == "withheld"]
    assert set(claims.verdict[claims.setting == "untaught"]) == {"withheld"}
    switching = withheld.setting[withheld.claim == "switching"]
    assert set(switching) == {"lonely-switch", "liar-switch"}
    assert (withheld.remark != "").all()
    throughout = {name for name in SETTINGS if not name.endswith("-switch")} - {"noisy@5"}
    assert set(claims.setting[claims.claim == "exaggeration"]) == throughout
    assert set(claims.setting[claims.claim == "label_underfitting"]) == throughout
    for of_noise in ("denoising", "mislabelled"):
        assert set(claims.setting[claims.claim == of_noise]) == throughout - {"clean"}


def test_settings_without_a_partner_have_no_contrast(study):
    claims = table(study, "claims").set_index(["claim", "setting"])
    between = claims.loc["switching_depends_on_teacher"]
    assert dict(between.control_name) == {"loose-switch": "tight-switch"}
    gains = claims.loc["gain_depends_on_teacher"]
    assert dict(gains.control_name) == {"loose": "tight", "honest": "liar"}
    assert gains.verdict["honest"] == "withheld" != gains.verdict["loose"]


def test_the_summary_counts_one_finding_per_setting(study):
    key = ["claim", "split", "reading"]
    claims, summary = table(study, "claims"), table(study, "summary").set_index(key)
    groups = claims[claims.counted].groupby(key, sort=False)
    assert list(groups.groups) == list(summary.index)
    for name, rows in groups:
        assert not rows.setting.duplicated().any()
        for verdict in ("holds", "contrary", "undecided", "withheld"):
            assert summary[verdict][name] == (rows.verdict == verdict).sum()
        chance = 0.05 if rows.side.iloc[0] == "clear of" else 0.025
        assert summary.expected_by_chance[name] == pytest.approx(chance * rows.p.notna().sum())
    assert summary.settings["bias", "", ""] == 4


def test_the_recomputation_notices_wrong_rows(study, tmp_path):
    copy = tmp_path / "results"
    (copy / "small" / "tables").mkdir(parents=True)
    for folder in ("logits", "runs", "small/analysis", "small/bias"):
        (copy / folder).symlink_to(study / "results" / folder)
    changes = {
        "claims": (("value", "9", ": value is 9"), ("p", "0.77", ": p is 0.77"),
                   ("verdict", "maybe", ": says ["), ("counted", "no", ": says [")),
        "bias": (("value", "9", ": value is 9"), ("high", "9", ": high is 9")),
        "confidence": (),
    }  # fmt: skip
    for name, wrong in changes.items():
        rows = pd.read_csv(study / f"results/small/tables/{name}.csv", dtype=str)
        decided = rows.index[rows.high.notna() & (rows.setting == "noisy")]
        for row, (column, text, _) in zip(decided, wrong, strict=False):
            rows.loc[row, column] = text
        rows.to_csv(copy / "small" / "tables" / f"{name}.csv", index=False)
    found = recompute(tmp_path)
    expected = [(name, words) for name, wrong in changes.items() for *_, words in wrong]
    assert len(found) == len(expected)
    for name, words in expected:
        assert any(f"{name}.csv" in line and words in line for line in found)


def test_bias_table_has_a_row_for_every_kind_of_number(study):
    rows = table(study, "bias")
    noisy = rows[(rows.setting == "noisy") & (rows.seed == "mean") & (rows.layer == LAYER)]
    assert dict(noisy.statistic.value_counts()) == {
        "log_ratio": 4 * 4, "log_ratio_difference": 2 * 4, "overall": 3 * 2 + 1, "trend": 4,
        "overall_difference": 2 * 2, "steps_compared_begin": 3, "steps_compared_end": 3,
        "steps_against_begin": 3, "steps_against_end": 3,
    }  # fmt: skip
    theory = noisy[noisy.compared == "linear regression"]
    assert set(theory.seeds) == {0} and (theory.low == "").all()
    assert set(rows[rows.setting == "single"].high) == {""}
    assert set(rows.setting) == set(BIASES)
    counts = rows[rows.statistic.str.contains("pairs_")]
    assert set(counts.setting) == set(PAIRED) and counts.statistic.nunique() == 4
    assert set(counts.compared) == {"reference", "student", "label_smoothing"}
