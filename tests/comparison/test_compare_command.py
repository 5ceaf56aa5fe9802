"""The command prints, writes and refuses; importing the package stays fast."""

import doctest
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from simulated_models import scaled_seeds, softmax

import disobey
from disobey import api, opening
from disobey.__main__ import main


@pytest.fixture
def saved(tmp_path, monkeypatch):
    """Files of a teacher, a student, a reference and a replicate, in the current folder."""
    monkeypatch.chdir(tmp_path)
    names = ("teacher", "student", "reference", "other")
    models = scaled_seeds(1, 1.5, 1, 1)
    label = models[0].argmax(1)
    for name, logits in zip(names, models, strict=True):
        np.savez(f"{name}.npz", test=logits)
    np.save("labels.npy", label)
    return tmp_path


def call(capsys, *words):
    code = main(["compare", *words])
    shown = capsys.readouterr()
    return code, shown.out, shown.err


def test_it_prints_verdicts_and_writes_page_table_and_figure(saved, capsys):
    code, out, _ = call(
        capsys, "teacher.npz", "student.npz", "--labels", "labels.npy", "--reference",
        "reference.npz", "--replicate", "other.npz", "--output", "found",
    )  # fmt: skip
    assert code == 0
    assert "teacher.npz -> student.npz" in out
    lines = [line for line in out.splitlines() if line.startswith("  exaggeration  ")]
    (line,) = (line for line in lines if "  replicate  " in line)
    table = pd.read_csv(saved / "found/comparison.csv")
    row = table.query("model == 'student' and statistic == 'exaggeration' and subset == 'all'")
    assert f"{row.value.item():.2f}" in line and "examples only" in line
    page = (saved / "found/comparison.md").read_text()
    assert (
        "| exaggeration | replicate | A |" in page
        and "![Student against teacher](confidence.png)" in page
    )
    with Image.open(saved / "found/confidence.png") as image:
        assert len(np.unique(np.asarray(image.convert("L")))) > 20
    assert (saved / "found/confidence.pdf").read_bytes().startswith(b"%PDF")


def test_the_figure_of_a_student_alone_shows_no_reference(saved):
    found = disobey.compare("teacher.npz", "student.npz")
    ids = {artist.get_gid() for artist in found.figure().findobj()}
    assert "binned/student" in ids and "binned/reference" not in ids
    with_reference = disobey.compare("teacher.npz", "student.npz", reference="reference.npz")
    assert "binned/reference" in {a.get_gid() for a in with_reference.figure().findobj()}


def test_pairs_give_verdicts_on_the_command_line(saved, capsys):
    models = scaled_seeds(1, 1, 1.5, 1.5, seed=0, examples=300)
    for name, logits in zip(("t1", "t2", "s1", "s2"), models, strict=True):
        np.savez(f"{name}.npz", test=logits)
    code, out, _ = call(capsys, "t1.npz", "s1.npz", "--pair", "t2.npz", "s2.npz")
    assert code == 0
    assert "2 pairs of a teacher and a student, 1 replicate each" in out
    assert "examples only" not in out.split("What cannot be concluded")[0]


def test_probabilities_and_the_split_are_said_on_the_command_line(saved, capsys):
    for name in ("teacher", "student"):
        np.save(f"{name}.npy", softmax(np.load(f"{name}.npz")["test"]))
    files = ("teacher.npy", "student.npy")
    code, _, err = call(capsys, *files)
    assert code == 2 and "teacher.npy, logits: these are probabilities" in err
    code, out, _ = call(capsys, *files, "--probabilities", "--split", "train")
    assert code == 0
    assert "train split, 300 examples" in out and "test split" not in out


def test_a_refusal_is_one_line_and_status_2_and_writes_nothing(saved, capsys):
    code, out, err = call(capsys, "teacher.npz", "gone.npz")
    assert (code, out) == (2, "")
    assert err == "disobey compare: gone.npz: there is no such file\n"
    assert not (saved / "comparison").exists()
    (saved / "found").touch()
    _, _, err = call(capsys, "gone.npz", "student.npz", "--output", "found")
    assert err == "disobey compare: --output found: is a file; name a folder\n"


def test_importing_the_package_imports_nothing_heavy_and_no_figure_or_torch_for_numbers():
    script = (
        "import sys, disobey\n"
        "heavy = ('numpy', 'xarray', 'torch', 'pandas', 'scipy', 'matplotlib')\n"
        "print([name for name in heavy if name in sys.modules])\n"
        "from disobey import compare, confidence_logit, exaggeration, linear_path\n"
        "print([name for name in heavy if name in sys.modules])\n"
        "compare(*__import__('numpy').random.default_rng(0).normal(size=(2, 50, 3)))\n"
        "print([name for name in ('torch', 'matplotlib', 'transformers') if name in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout.splitlines() == ["[]", "['numpy']", "[]"]


def test_the_front_door_names_what_it_has():
    assert set(disobey.__all__) <= set(dir(disobey))
    homes = {name: opening if hasattr(opening, name) else api for name in disobey.__all__}
    assert all(getattr(disobey, name) is getattr(homes[name], name) for name in disobey.__all__)
    with pytest.raises(AttributeError, match="no attribute 'compair'"):
        disobey.compair  # noqa: B018


def test_the_examples_of_the_docstrings_are_true():
    found = doctest.testmod(api)
    assert found.attempted >= 10 and found.failed == 0


@pytest.mark.parametrize("chosen", [None, np.zeros(0, int)])
def test_no_example_has_no_confidence(chosen):
    assert disobey.confidence_logit(np.zeros((0, 3)), chosen).shape == (0,)


@pytest.mark.parametrize("logits", [[1.0, 2.0], np.zeros((2, 0)), np.zeros((2, 1)), 3.0])
@pytest.mark.parametrize("chosen", [None, [0, 0]])
def test_logits_of_another_shape_are_refused(logits, chosen):
    with pytest.raises(ValueError, match=r"logits must be \(example, class\)"):
        disobey.confidence_logit(logits, chosen)


@pytest.mark.parametrize("chosen", [[0, 2], [-1, 0], [0.0, 1.0], [0]])
def test_classes_that_do_not_exist_are_refused(chosen):
    with pytest.raises(ValueError, match="chosen"):
        disobey.confidence_logit([[2.0, 0.0], [0.0, 3.0]], chosen)


def test_masked_logits_have_no_confidence():
    masked = np.ma.masked_array([[2.0, 0.0]], [[False, True]])
    with pytest.raises(ValueError, match="logits must not be masked"):
        disobey.confidence_logit(masked)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"replicates": "other.npz"}, "replicates: is one model, other.npz; write a list: ['other"),
        ({"resamples": -1}, "resamples: must be at least 0, got -1"),
        ({"seed": -1}, "seed: must be at least 0, got -1"),
    ],
)
def test_options_that_cannot_be_right_are_refused(options, said):
    with pytest.raises(disobey.errors.UserError) as error:
        disobey.compare(*scaled_seeds(1, 1), **options)
    assert said in str(error.value)


def test_a_statistic_that_does_not_exist_is_refused():
    found = disobey.compare(*scaled_seeds(1, 1), resamples=0)
    with pytest.raises(disobey.errors.UserError, match="did you mean 'exaggeration'"):
        found.value("exageration")


def test_exaggeration_needs_a_replicate():
    teacher, student = scaled_seeds(1, 1)
    with pytest.raises(disobey.errors.UserError, match="at least one teacher of another seed"):
        disobey.exaggeration(teacher, student, [])


def test_the_linear_path_is_what_gradient_descent_walks():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(30, 3)), rng.normal(size=30)
    step = 1e-4
    teacher, student = np.zeros(3), np.zeros(3)
    for _ in range(200):
        teacher -= step * x.T @ (x @ teacher - y)
    for _ in range(300):
        student -= step * x.T @ (x @ student - x @ teacher)
    one_hot = disobey.linear_path(x, y, times=[200 * step])
    distilled = disobey.linear_path(x, y, times=[300 * step], teacher_stop=200 * step)
    np.testing.assert_allclose(one_hot.weights[0], teacher, rtol=5e-3)
    np.testing.assert_allclose(distilled.weights[0], student, rtol=5e-3)
    assert (distilled.progress < 1).all()
