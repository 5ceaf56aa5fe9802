"""Views show the stated crops, and a stored row is the teacher's output on the same view."""

import copy

import numpy as np
import pytest
import torch

from disobey.data.views import BLOCK, offsets
from disobey.provenance import spec_id
from disobey.stores.layout import manifest_of
from disobey.stores.reader import read_arrays, read_slab
from disobey.training.inputs import AugmentedImages, ImageInputs
from disobey.training.predictions import trained_model
from disobey.training.teachers import LiveTeacher, StoredViews

from .conftest import raw_images

CPU = torch.device("cpu")
CASES = {
    "crop": {"crop_padding": 1},
    "flip": {"flip": True},
    "both": {"crop_padding": 2, "flip": True},
}
AUGMENT = {"crop_padding": 1, "flip": True}  # 18 views: two blocks
SEEDS = {"initialisation": 0, "order": 0, "views": 3, "draw": 1}


def view_in_numpy(image, view, augment):
    pad = augment.get("crop_padding", 0)
    y, x, flipped = (int(part) for part in offsets(np.array(view), augment))
    rows, columns, _ = image.shape
    crop = np.pad(image, ((pad, pad), (pad, pad), (0, 0)))[y : y + rows, x : x + columns]
    return crop[:, ::-1] if flipped else crop


@pytest.mark.parametrize("centre", [None, "pixel"])
@pytest.mark.parametrize("augment", CASES.values(), ids=CASES)
def test_a_view_is_the_crop_that_numpy_cuts(images, augment, centre):
    inputs = AugmentedImages(images.train, images, CPU, centre, augment, draw=7)
    index = torch.tensor([4, 4, 0, 25, 11])
    std = images.attributes["channel_std"]
    mean = images.attributes["channel_mean"]
    if centre == "pixel":
        mean = images.train.inputs.mean(0) / 255
    for slab in range(len(inputs.shown.views)):
        inputs.show(slab)
        found = inputs.batch(index).permute(0, 2, 3, 1).numpy()
        for row, example in zip(found, index.tolist(), strict=True):
            view = view_in_numpy(
                images.train.inputs[example], inputs.shown.views[slab, example], augment
            )
            np.testing.assert_allclose(row, (view / 255 - mean) / std, atol=1e-5)


def test_one_of_the_views_is_the_image_itself(images):
    inputs = AugmentedImages(images.train, images, CPU, None, AUGMENT, draw=0)
    plain = ImageInputs(images.train, images, CPU).batch(torch.arange(26))
    inputs.shown.views[0] = AUGMENT["crop_padding"] * 3 + AUGMENT["crop_padding"]
    inputs.show(0)
    assert torch.equal(inputs.batch(torch.arange(26)), plain)


class Distilled:
    """A teacher, its views, and students of it, made by the stages themselves."""

    def __init__(self, workplace, monkeypatch):
        self.workplace = workplace
        self.data = workplace.prepare(monkeypatch, raw_images())
        self.teacher = workplace.train(self.data, seeds=SEEDS, augment=AUGMENT)

    def views(self, block, **changes):
        spec = {
            "run": self.teacher, "data": self.data, "augment": AUGMENT, "draw": 0, "block": block,
        } | changes  # fmt: skip
        return self.workplace.made(
            "views", f"views/{self.teacher}", str(block), spec,
            ("runs", self.teacher), ("data", self.data),
        )  # fmt: skip

    def block(self, block):
        return self.workplace.path(f"views/{self.teacher}", str(block))

    def student(self, *upstream, length=None, **distill):
        distill = {"temperature": 2.0, "weight": 1.0, "teacher": self.teacher, **distill}
        seeds = {"initialisation": 9, "order": 9, "views": 9, "draw": 0}
        spec = self.workplace.run_spec(self.data, seeds=seeds, augment=AUGMENT, distill=distill)
        del spec["recipe"]["epochs"]
        spec["recipe"] |= length or {"epochs": 12}  # reads both blocks
        return spec, ("train", "runs", spec_id("run", spec), spec, ("data", self.data), *upstream)

    def weights(self, run):
        from safetensors.numpy import load_file

        return load_file(self.workplace.path("runs", run) / "model.safetensors")


@pytest.fixture
def distilled(workplace, monkeypatch):
    return Distilled(workplace, monkeypatch)


def both_blocks(distilled):
    return [(f"views/{distilled.teacher}", distilled.views(block)) for block in (0, 1)]


def test_a_stored_row_is_the_teacher_live_on_that_view(distilled):
    from disobey.data.prepared import read_prepared
    from disobey.stores.manifest import read_manifest

    both_blocks(distilled)
    data = read_prepared(distilled.workplace.path("data", distilled.data), None)
    manifest = read_manifest(manifest_of(str(distilled.workplace.path("runs", distilled.teacher))))
    model = trained_model(manifest, data, CPU, ())
    mean, std = (np.atleast_1d(data.attributes[f"channel_{part}"]) for part in ("mean", "std"))
    rows = 0
    for block in (0, 1):
        stored = read_arrays(distilled.block(block))
        assert np.array_equal(stored["example_id"], data.train.example_id)
        for views, logits in zip(stored["view"], stored["logits"], strict=True):
            pixels = [
                (view_in_numpy(image, view, AUGMENT) / 255 - mean) / std
                for image, view in zip(data.train.inputs, views, strict=True)
            ]
            batch = torch.tensor(np.array(pixels), dtype=torch.float32).permute(0, 3, 1, 2)
            with torch.no_grad():
                live = model(batch).numpy()
            np.testing.assert_allclose(logits, live, rtol=1e-5, atol=1e-5)
            rows += len(logits)
    assert rows == 18 * 50


def test_a_student_of_stored_views_is_the_student_of_the_live_teacher(distilled):
    """In float32, to rounding: batches of 16 and of 512 are summed in other orders.

    With a loss that is not the default, a weight and a switch, which see the same teacher.
    """
    how = {"loss": "dkd", "alpha": 1.0, "beta": 2.0, "weight": 0.7}
    how["switch"] = {"order": "one_hot_first", "at": 0.2}
    _, stored = distilled.student(*both_blocks(distilled), **how)
    _, live = distilled.student(("runs", distilled.teacher), live=True, **how)
    first, second = (distilled.weights(distilled.workplace.made(*call)) for call in (stored, live))
    for name, values in first.items():
        np.testing.assert_allclose(values, second[name], rtol=2e-3, atol=2e-4, err_msg=name)


def test_a_student_without_a_teacher_is_trained_like_the_placebo_of_its_loss(distilled):
    """Label smoothing as a loss of weight .1, and as an option of the recipe."""
    recipe = distilled.workplace.run_spec(distilled.data)["recipe"]
    runs = [
        distilled.workplace.train(distilled.data, seeds=SEEDS, augment=AUGMENT, **how)
        for how in (
            {"distill": {"loss": "label_smoothing", "weight": 0.1}},
            {"recipe": recipe | {"label_smoothing": 0.1}},
        )
    ]
    loss, placebo = map(distilled.weights, runs)
    for name, values in placebo.items():
        np.testing.assert_allclose(loss[name], values, rtol=1e-4, atol=1e-5, err_msg=name)
    plain = distilled.weights(distilled.teacher)
    assert any(not np.allclose(plain[name], loss[name], atol=1e-4) for name in plain)


def test_a_student_in_steps_is_shown_the_views_of_the_epochs_that_it_begins(distilled, capsys):
    """50 images in batches of 16 are four steps: 48 are twelve epochs, 41 begin an eleventh."""
    blocks = both_blocks(distilled)
    epochs, steps = (
        distilled.weights(distilled.workplace.made(*distilled.student(*blocks, length=length)[1]))
        for length in ({"epochs": 12}, {"steps": 48})
    )
    assert all(np.array_equal(steps[name], values) for name, values in epochs.items())
    distilled.workplace.made(*distilled.student(blocks[0], length={"steps": 40})[1])
    _, call = distilled.student(blocks[0], length={"steps": 41})
    assert distilled.workplace.call(*call) == 2
    assert "needs block 1 of its teacher's views" in capsys.readouterr().err


def test_the_live_teacher_cannot_be_moved_by_its_student(images):
    torch.manual_seed(0)
    model = torch.nn.Sequential(
        torch.nn.Conv2d(2, 3, 3),
        torch.nn.BatchNorm2d(3),
        torch.nn.Flatten(),
        torch.nn.Linear(12, 3),
    )
    teacher = LiveTeacher(model)
    before = copy.deepcopy(model.state_dict())
    for _ in range(3):
        teacher.look(ImageInputs(images.train, images, CPU).batch(torch.arange(20)))
        assert not teacher(torch.arange(20)).requires_grad
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    for module in (model, model[1]):
        with pytest.raises(RuntimeError, match="evaluation mode"):
            module.train()
    model[1].train(False)  # as it is already
    assert not any(module.training for module in model.modules())


def test_float16_takes_half_the_bytes_and_errs_by_its_rounding(distilled):
    distilled.views(0)
    exact = [read_slab(distilled.block(0), "logits", slab) for slab in range(BLOCK)]
    size = distilled.block(0).stat().st_size
    distilled.views(0, dtype="float16")
    assert size - distilled.block(0).stat().st_size == pytest.approx(2 * 10 * 50 * 3, abs=200)
    for slab, values in enumerate(exact):
        halved = read_slab(distilled.block(0), "logits", slab)
        assert halved.dtype == np.float32 and not np.array_equal(halved, values)
        np.testing.assert_allclose(halved, values, rtol=2**-11, atol=1e-7)


def test_a_slab_is_read_without_the_others(distilled, monkeypatch, images):
    """A batch reads one slab of the file at most."""
    from disobey.training import teachers as stored_views

    block = distilled.views(0)
    path = distilled.workplace.path(f"views/{distilled.teacher}", block)
    asked = []
    monkeypatch.setattr(
        stored_views, "read_slab", lambda *words: asked.append(words) or np.zeros((50, 3), "f4")
    )
    monkeypatch.setattr(
        stored_views, "read_arrays",
        lambda path, group, *names: asked.append(names) or read_arrays(path, group, *names),
    )  # fmt: skip
    from disobey.data.prepared import read_prepared

    data = read_prepared(distilled.workplace.path("data", distilled.data), None)
    inputs = AugmentedImages(data.train, data, CPU, None, AUGMENT, draw=0)
    teacher = StoredViews([path], data, inputs, CPU)
    teacher.show(7)
    assert asked == [("example_id", "view"), (path, "logits", 0), (path, "logits", 7)]


WRONG = {
    "another draw": {"draw": 5},
    "other crops": {"augment": {"crop_padding": 2, "flip": True}},
}


@pytest.mark.parametrize("changes", WRONG.values(), ids=WRONG)
def test_other_views_are_refused(distilled, changes, capsys):
    upstream = [
        (f"views/{distilled.teacher}", distilled.views(block, **changes)) for block in (0, 1)
    ]
    _, call = distilled.student(*upstream)
    assert distilled.workplace.call(*call) == 2
    assert "holds other views than the student is shown" in capsys.readouterr().err


def test_views_of_another_teacher_are_refused(distilled, capsys):
    upstream = both_blocks(distilled)
    spec, _ = distilled.student()
    spec["distill"]["teacher"] = "another-teacher"
    call = ("train", "runs", spec_id("run", spec), spec, ("data", distilled.data), *upstream)
    assert distilled.workplace.call(*call) == 2
    assert "views of another teacher" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        ({"train": 49}, "holds other examples than the student's data set"),
        ({"classes": 4}, "the teacher has 3 classes, the student's data set has 4: a, b, c, d"),
    ],
)
@pytest.mark.parametrize("kind", ["logits", "views"])
def test_a_teacher_of_other_data_is_refused(kind, raw, words, distilled, monkeypatch, capsys):
    place, teacher = distilled.workplace, distilled.teacher
    other = place.prepare(monkeypatch, raw_images(**raw), name="other")
    if kind == "views":
        spec, (*_, block) = distilled.student((f"views/{teacher}", distilled.views(0)))
        spec["recipe"]["epochs"], store = 2, distilled.block(0)
    else:
        place.dump(teacher, distilled.data)
        spec, block = distilled.student()[0], ("logits", teacher)
        store = place.path(*block)
        del spec["augment"]
    spec["data"] = other
    call = ("train", "runs", spec_id("run", spec), spec, ("data", other), block)
    assert place.call(*call) == 2
    assert capsys.readouterr().err.endswith(f"disobey train: {store}: {words}\n")


def test_a_block_cut_short_is_refused(distilled, capsys):
    upstream = both_blocks(distilled)
    path = distilled.block(1)
    kept = path.read_bytes()
    path.write_bytes(kept[: len(kept) // 2])
    _, call = distilled.student(*upstream)
    assert distilled.workplace.call(*call) == 2
    assert "has changed since it was written" in capsys.readouterr().err


def test_a_missing_block_is_refused(distilled, capsys):
    _, call = distilled.student(both_blocks(distilled)[0])
    assert distilled.workplace.call(*call) == 2
    assert f"needs block 1 of its teacher's views, of {BLOCK} slabs" in capsys.readouterr().err
