"""Models of timm, by a stand-in: torchvision, which timm imports, is not there for every torch."""

import sys
import types

import pytest
import torch

from disobey.errors import UserError
from disobey.models.exported import _shaped
from disobey.models.timm import build
from disobey.study.loader import load_study
from disobey.study.plan import make_plan
from disobey.study.resources import need_of


@pytest.fixture
def stand_in(monkeypatch):
    def create_model(name, pretrained, num_classes, in_chans, **options):
        if name != "tiny":
            raise RuntimeError(f"Unknown model ({name})")
        assert not pretrained and options == {"img_size": 8}
        return torch.nn.Sequential(torch.nn.Conv2d(in_chans, num_classes, 8), torch.nn.Flatten())

    package = types.ModuleType("timm")
    package.create_model = create_model
    package.__spec__ = types.SimpleNamespace(name="timm")
    monkeypatch.setitem(sys.modules, "timm", package)


def made(name):
    data = _shaped((8, 8, 3), {}, tuple("abc"))
    return build({"model": name, "options": {"img_size": 8}}, data)


def test_timm_makes_a_model_for_the_channels_and_classes_of_the_data(stand_in):
    assert made("tiny")(torch.zeros(2, 3, 8, 8)).shape == (2, 3)


def test_a_name_that_timm_does_not_know_is_refused(stand_in):
    with pytest.raises(UserError, match=r"timm cannot make tniy: Unknown model \(tniy\)"):
        made("tniy")


def test_a_model_of_timm_is_planned_without_being_made(tmp_path, monkeypatch):
    """Its cost is a ResNet-50's, and none of its layers is known."""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object())
    setting = (
        "{dataset: d, teacher: MODEL, student: MODEL, recipe: r, distill: {temperature: 4}BIAS}"
    )
    text = (
        "study: s\nseeds: [0]\ndevice: cpu\n"
        "datasets: {d: {source: builtin, name: mnist5k, centre: pixel}}\n"
        "models:\n  vit: {family: timm, model: vit_tiny_patch16_224}\n"
        "  resnet: {family: resnet, depth: 50, small_images: true}\n"
        "recipes: {r: {optimizer: sgd, lr: 0.1, epochs: 1}}\n"
        f"settings:\n  s: {setting}\n"
    )
    needs = []
    for model, label in (("vit", "vit-tiny-patch16-224"), ("resnet", "resnet50")):
        (tmp_path / "s.yaml").write_text(text.replace("MODEL", model).replace("BIAS", ""))
        plan = make_plan(load_study(tmp_path / "s.yaml"))
        (run,) = plan.settings["s"].teachers
        assert run.startswith(f"mnist5k-{label}-")
        needs.append(need_of(plan, "train", run))
    assert needs[0] == needs[1]
    bias = ", bias: {layers: [blocks.0.mlp.fc1]}"
    (tmp_path / "s.yaml").write_text(text.replace("MODEL", "vit").replace("BIAS", bias))
    with pytest.raises(
        UserError, match=r"layers\[0\]: model 'vit' has no layer .*; there are none"
    ):
        load_study(tmp_path / "s.yaml")


def test_a_study_with_a_model_of_timm_is_refused_where_timm_is_not_installed(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    (tmp_path / "study.yaml").write_text(
        "study: s\nseeds: [0]\nmodels:\n  vit: {family: timm, model: vit_tiny_patch16_224}\n"
    )
    with pytest.raises(UserError, match=r"yaml:4: models.vit.family: the package timm is not"):
        load_study(tmp_path / "study.yaml")
    with pytest.raises(UserError, match=r"pip install 'disobey\[timm\]', with the torchvision"):
        made("tiny")
