"""Valid study files, and the values that are read from them."""

from pathlib import Path

import pytest
import yaml

from disobey.study.loader import load_study, load_with_lines
from disobey.study.models import Study

ROOT = Path(__file__).parents[2]


@pytest.fixture
def yaml_file(tmp_path):
    def write(text):
        path = tmp_path / "file.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_study_says_what_its_file_says(study):
    read = study()
    assert (read.study, read.seeds, read.device) == ("small", [0, 1], "auto")
    assert read.datasets["noisy"].label_noise.rate == 0.2
    assert read.datasets["words"].tokenizer.vocabulary == 300
    assert read.models["roberta"].heads == 2
    assert read.recipes["text"].lr == 0.001
    assert read.settings["self"].distill.weight == 0.5
    assert read.settings["langid"].distill.weight == 1.0  # the default
    assert read.analysis.resamples == 100


def test_a_study_written_out_and_read_again_is_equal(study, tmp_path):
    path = tmp_path / "again.yaml"
    read = study()
    path.write_text(yaml.safe_dump(read.model_dump(mode="json")), encoding="utf-8")
    assert load_study(path) == read


def test_default_study_is_valid():
    assert load_study(ROOT / "config.yaml").study == "overview"


@pytest.mark.parametrize("file", sorted((ROOT / "workflow" / "studies").glob("*.yaml")), ids=str)
def test_each_study_of_the_repository_is_valid(file, request):
    if "data_root" in file.read_text():
        request.getfixturevalue("real_data")
    assert isinstance(load_study(file), Study)


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("5e-4", 0.0005),
        ("1E3", 1000.0),
        (".5", 0.5),
        ("-1.5e+2", -150.0),
        ("7", 7),
        ("010", 10),  # YAML 1.1 would say 8
        ("1:30", "1:30"),  # YAML 1.1 would say 90
        ("2020-01-01", "2020-01-01"),  # YAML 1.1 would say a date
        ("1e", "1e"),
        ("e4", "e4"),
        ("1.2.3", "1.2.3"),
    ],
)
def test_numbers_are_read_as_in_yaml_1_2(yaml_file, written, value):
    read, _ = load_with_lines(yaml_file(f"key: {written}\n"))
    assert read == {"key": value}
    assert type(read["key"]) is type(value)


def test_recipe_takes_an_exponent_without_a_point(study):
    read = study(("momentum: 0.9", "momentum: 0.9, weight_decay: 5e-4"))
    assert read.recipes["image"].weight_decay == 0.0005


def test_recipe_can_be_an_earlier_one_with_a_change(study):
    read = study(
        ("  image: {", "  image: &image {"),
        ("  text: {", "  slow:\n    <<: *image\n    epochs: 9\n  text: {"),
    )
    assert read.recipes["slow"] == read.recipes["image"].model_copy(update={"epochs": 9})


def test_changed_copy_can_be_used_again_by_its_own_name(study):
    read = study(
        ("  image: {", "  image: &image {"),
        ("  text: {", "  slow: &slow\n    <<: *image\n    epochs: 9\n  same: *slow\n  text: {"),
    )
    assert read.recipes["same"] == read.recipes["slow"]


def test_a_key_given_twice_beside_a_merge_is_refused(yaml_file):
    path = yaml_file("a: &a {x: 1}\nb:\n  <<: *a\n  x: 2\n  x: 3\n")
    with pytest.raises(Exception, match=r"file\.yaml:5: b\.x: is given twice, first on line 4"):
        load_with_lines(path)


def test_each_key_and_item_has_its_line(yaml_file):
    _, lines = load_with_lines(
        yaml_file("# head\nb:\n  c: 1\n\n  d:\n    - x\n    - {e: 2,\n       f: 3}\n")
    )
    assert lines == {
        (): 2,
        ("b",): 2,
        ("b", "c"): 3,
        ("b", "d"): 5,
        ("b", "d", 0): 6,
        ("b", "d", 1): 7,
        ("b", "d", 1, "e"): 7,
        ("b", "d", 1, "f"): 8,
    }


def test_merged_key_has_the_line_where_it_is_written(yaml_file):
    _, lines = load_with_lines(yaml_file("a: &a\n  x: 1\n  y: 2\nb:\n  <<: *a\n  y: 3\n"))
    assert (lines["b", "x"], lines["b", "y"]) == (2, 6)


def test_byte_order_mark_and_windows_line_ends_do_no_harm(base, study, tmp_path):
    path = tmp_path / "windows.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + base.replace("\n", "\r\n").encode())
    assert load_study(path) == study()


@pytest.mark.parametrize("option", ["momentum", "weight_decay", "warmup", "label_smoothing"])
def test_an_option_of_zero_is_an_option_not_given(study, option):
    without = study(("momentum: 0.9, ", ""))
    assert study(("momentum: 0.9", f"{option}: 0")) == without


def test_a_study_cannot_be_changed_after_it_was_checked(study):
    with pytest.raises(Exception, match="frozen"):
        study().seeds = [5]
