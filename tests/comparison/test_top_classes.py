"""Teachers with only their top classes known, from the file to the loss of a student."""

import re
from pathlib import Path

import netCDF4
import numpy as np
import pytest

from disobey import compare
from disobey.comparison.files import completed, read_file, spread_share
from disobey.errors import UserError
from disobey.study.loader import load_study
from disobey.study.plan import make_plan
from tests.test_slices import run_in_process

CLASSES, K = 10, 4


def teacher(examples, sharpness=3.0, seed=0):
    """Return log-probabilities of all classes, (example, class)."""
    logits = sharpness * np.random.default_rng(seed).normal(size=(examples, CLASSES))
    return logits - np.log(np.exp(logits).sum(1, keepdims=True))


def top_of(log_probability, k=K):
    order = np.argsort(-log_probability, axis=1)
    logit, others = np.split(np.take_along_axis(log_probability, order, 1), [k], axis=1)
    return {"top_class": order[:, :k], "top_logit": logit, "missing_mass": np.exp(others).sum(1)}


def test_given_classes_keep_their_probability_and_the_others_share_the_rest_evenly():
    whole = teacher(30)
    top = top_of(whole)
    made = np.exp(completed("t", top | {"top_logit": top["top_logit"] + 7}, CLASSES))
    np.testing.assert_allclose(made.sum(1), 1)
    for row in range(len(whole)):
        others = np.setdiff1d(np.arange(CLASSES), top["top_class"][row])
        given = top["top_class"][row]
        np.testing.assert_allclose(made[row, given], np.exp(whole[row, given]), rtol=1e-9)
        np.testing.assert_allclose(made[row, others], np.exp(whole[row, others]).sum() / 6)


def test_spread_share_grows_with_temperature_and_is_the_missing_mass_at_one():
    top = top_of(teacher(50))
    logits = completed("t", top, CLASSES)
    shares = [spread_share(logits, top["top_class"], t) for t in (1.0, 4.0, 1e9)]
    assert shares[0] == pytest.approx(top["missing_mass"].mean())
    assert shares[0] < shares[1] < shares[2] == pytest.approx(6 / 10)


def changed(name, row, value):
    def change(top):
        values = top[name].copy()
        values[row] = value
        return top | {name: values}

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda top: {k: v for k, v in top.items() if k != "missing_mass"},
         "t has no missing_mass; top classes are top_class and top_logit"),
        (changed("missing_mass", 3, 0.0), "t missing_mass, row 3: is not between 0 and 1; where"),
        (changed("missing_mass", 3, 0.99), "t missing_mass, row 3: gives each other class more"),
        (changed("top_class", 2, 10), "t top_class, row 2: names a class twice or one that is not"),
        (changed("top_logit", (5, 1), np.nan), "t top_logit, row 5: is not finite"),
        (lambda top: top | {"top_logit": top["top_logit"][:, :2]}, "must be (example, k), (ex"),
        (lambda top: top | {"top_class": 1.0 * top["top_class"]}, "t top_class: holds float64"),
        (lambda top: top | {"top_logit": top["top_logit"].astype(str)}, "t top_logit holds <U"),
        (lambda top: top | {"missing_mass": top["missing_mass"] + 0j}, "holds complex128, where"),
        (lambda _: top_of(teacher(30), CLASSES), "t 10 top classes of 10; give fewer, or logits"),
    ],
)  # fmt: skip
def test_top_classes_that_cannot_be_right_are_refused(change, message):
    with pytest.raises(UserError) as caught:
        completed("t", change(top_of(teacher(30))), CLASSES)
    assert message in str(caught.value).replace("t:", "t")


@pytest.mark.parametrize(
    "given", [{}, {"classes": "ten"}, {"classes": np.nan}, {"classes": 9.5}, {"class_name": "ant"}]
)
def test_a_file_must_say_of_how_many_classes_the_top_ones_are(tmp_path, given):
    np.savez(tmp_path / "t.npz", **top_of(teacher(30)), **given)
    with pytest.raises(UserError, match="of how many classes are these the top ones"):
        read_file(tmp_path / "t.npz")


def test_compare_takes_logits_of_all_classes_only():
    models = [top_of(teacher(40, seed=seed)) | {"classes": np.array(CLASSES)} for seed in (0, 1)]
    paths = []
    for number, model in enumerate(models):
        paths.append(f"{number}.npz")
        np.savez(paths[-1], **model)
    with pytest.raises(UserError, match=r"0.npz: holds the top classes alone, and what was spread"):
        compare(*paths)


# --- in a study ------------------------------------------------------------------------------

STUDY = """\
study: topped
seeds: [0]
device: cpu
datasets: {digits: {source: builtin, name: digits, subset: {train: 60, test: 40}}}
models: {mlp: {family: mlp, hidden: [4]}}
teachers: {t: {source: logits, files: [t.npz]}}
recipes: {short: {optimizer: sgd, lr: 0.1, batch: 20, epochs: 1}}
settings:
  it: {dataset: digits, teacher: {external: t}, student: mlp, recipe: short, distill: {temperature: 2}}
"""  # noqa: E501


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def save_teacher(sharpness, **more):
    arrays = {"classes": np.array(CLASSES)}
    for split, examples in (("train", 60), ("test", 40)):
        top = top_of(teacher(examples, sharpness))
        arrays |= {f"{split}_{name}": values for name, values in top.items()}
    np.savez("t.npz", **arrays | more)


def test_a_student_learns_from_top_classes_and_the_store_states_the_missing_mass(capsys):
    save_teacher(12.0)
    Path("study.yaml").write_text(STUDY)
    plan = make_plan(load_study("study.yaml"))
    run_in_process(plan, ("prepare", "compared", "train"))
    with np.load("t.npz") as arrays:
        mass = arrays["train_missing_mass"]
    assert f"outside of them, {mass.mean():.4f} on average" in capsys.readouterr().err
    (store,) = Path("results/compared").glob("*.nc")
    with netCDF4.Dataset(store) as file:
        assert file["train"].missing_mass_max == pytest.approx(mass.max())
        probability = np.exp(file["train"]["teacher_0"][...].data)
    np.testing.assert_allclose(probability.sum(1), 1, rtol=1e-5)


@pytest.mark.parametrize(
    ("sharpness", "edit", "message"),
    [
        (3.0, ("temperature: 2", "temperature: 4"),
         r"9: settings.it.distill: t.npz contains the top 4 of 10 classes; at temperature 4 \d\d%"),
        (12.0, ("[t.npz]", "[t.npz], probabilities: true"),
         "6: teachers.t.probabilities: t.npz contains top classes, whose top_logit are logarithms"),
    ],
)  # fmt: skip
def test_a_study_that_would_learn_what_was_spread_is_refused(sharpness, edit, message):
    save_teacher(sharpness)
    Path("study.yaml").write_text(STUDY.replace(*edit))
    with pytest.raises(UserError) as caught:
        load_study("study.yaml")
    assert re.search(message, str(caught.value))


def test_the_file_of_top_classes_is_named_among_files_of_probabilities():
    save_teacher(12.0)
    even = {split: np.full((rows, 10), 0.1) for split, rows in (("train", 60), ("test", 40))}
    np.savez("all.npz", classes=np.array(CLASSES), **even)
    edited = STUDY.replace("[t.npz]", "[all.npz], replicates: [t.npz], probabilities: true")
    Path("study.yaml").write_text(edited)
    with pytest.raises(UserError, match=r"probabilities: t\.npz contains top classes"):
        load_study("study.yaml")
