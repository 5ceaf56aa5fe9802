"""Files of users and of the hub: all formats give the same store, and errors are named."""

import errno
import io
import json
import os
import struct
import zlib
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from disobey.data.prepared import read_prepared
from disobey.data.raw import Block, RawData, RawSplit, in_memory, kept_rows, surveys_of
from disobey.data.sources import hub
from disobey.data.tables import folder_table
from disobey.data.writing import ImageForm, Moments, write_encoded
from disobey.errors import UserError
from disobey.job import Job
from disobey.provenance import spec_id
from disobey.stages import prepare
from disobey.stores.reader import read_arrays, read_attributes
from disobey.study.datasets import Files
from disobey.study.external_checks import _facts_in
from disobey.study.sizes import (
    SPLITS,
    content_of_split,
    format_of,
    given_files,
    mistake_in,
)

TEXTS = ["a b", "c", "d e f", "g", "h, i", "0012"]
LABELS = [0, 1, 0, 1, 1, 0]


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))


def prepared(**options):
    """Prepare a data set of files like the workflow; return the input of models."""
    job = job_of(**options)
    prepare.run(job)
    return read_prepared(job.store, None)


def job_of(**options):
    named = {"source": "files", "name": "mine", "train": "train.*", "test": "test.*"}
    dataset = Files.model_validate(named | options)
    spec = dataset.prepare_spec() | {"format": format_of(dataset, None)}
    spec |= {split: content_of_split(dataset, None, split) for split in SPLITS}
    files = {split: list(map(str, given_files(dataset, None, split))) for split in SPLITS}
    output = Path("results/data", spec_id("mine", spec) + ".nc.json")
    return Job("prepare", spec, "", (), output, files=files)


def write_texts(suffix, split="train", texts=TEXTS, labels=LABELS, **more):
    table = pd.DataFrame({"sentence": texts, "label": labels, **more})
    path = Path(f"{split}{suffix}")
    if suffix == ".parquet":
        table.to_parquet(path)
    elif suffix == ".csv":
        table.to_csv(path, index=False)
    elif suffix == ".npz":
        columns = {name: np.array(table[name].tolist()) for name in table}
        np.savez(path, **columns)
    else:
        table.to_json(path, orient="records", lines=True)


TEXT = {"columns": {"text": "sentence"}, "tokenizer": {"vocabulary": 261, "max_tokens": 12}}


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".jsonl", ".npz"])
def test_every_format_of_text_gives_the_same_store(suffix):
    write_texts(suffix)
    write_texts(suffix, "test", TEXTS[:3], LABELS[:3])
    data = prepared(**TEXT)
    assert data.train.label.tolist() == LABELS and data.class_names == ("0", "1")
    store = next(Path("results/data").glob("*.nc"))
    assert read_arrays(store, "train", "text")["text"].tolist() == TEXTS
    used = (data.train.inputs != read_attributes(store)["pad"]).sum(1)
    # bytes, as the vocabulary has room for no more: a space in front, <s> and </s> around
    assert used.tolist() == [len(text) + 3 for text in TEXTS]
    assert not set(data.train.example_id) & set(data.test.example_id)


def test_words_as_labels_are_classes_in_their_order():
    write_texts(".csv", labels=["good", "bad", "good", "bad", "bad", "good"])
    write_texts(".csv", "test", TEXTS[:2], ["bad", "good"])
    data = prepared(**TEXT)
    assert data.class_names == ("bad", "good")
    assert data.train.label.tolist() == [1, 0, 1, 0, 0, 1] and data.test.label.tolist() == [0, 1]


def test_numbers_as_labels_that_do_not_start_at_0_are_classes_in_their_order():
    write_texts(".csv", labels=[10, 9, 10, 9, 9, 10])
    write_texts(".csv", "test", TEXTS[:2], [9, 10])
    data = prepared(**TEXT)
    assert data.class_names == ("9", "10") and data.test.label.tolist() == [0, 1]


def test_classes_named_by_the_user_number_the_labels():
    write_texts(".jsonl")
    write_texts(".jsonl", "test", TEXTS[:2], LABELS[:2])
    assert prepared(**TEXT, classes=["no", "yes"]).class_names == ("no", "yes")


def test_pairs_of_sentences_are_one_row_of_tokens():
    write_texts(".parquet", other=["x"] * 6)
    write_texts(".parquet", "test", TEXTS[:2], LABELS[:2], other=["x"] * 2)
    options = {"columns": {"text": "sentence", "text_pair": "other"}}
    data = prepared(**options, tokenizer=TEXT["tokenizer"])
    store = next(Path("results/data").glob("*.nc"))
    assert read_arrays(store, "test", "text_pair")["text_pair"].tolist() == ["x", "x"]
    end = 2  # </s>: RoBERTa puts two of them between the texts of a pair, and one at the end
    assert (data.train.inputs[0] == end).sum() == 3


def test_a_subset_keeps_the_share_of_each_class_and_the_order_of_rows():
    labels = [0] * 30 + [1] * 10
    write_texts(".csv", texts=[f"t{i}" for i in range(40)], labels=labels)
    write_texts(".csv", "test", TEXTS, LABELS)
    data = prepared(**TEXT, subset={"train": 8})
    assert np.bincount(data.train.label).tolist() == [6, 2] and len(data.test) == 6
    assert (np.diff(data.train.example_id) > 0).all()
    other = prepared(**TEXT, subset={"train": 8, "seed": 1})
    assert data.train.example_id.tolist() != other.train.example_id.tolist()


def test_only_the_first_classes_are_kept():
    write_texts(".csv", labels=[0, 1, 2, 0, 1, 2])
    write_texts(".csv", "test", TEXTS[:3], [2, 0, 1])
    data = prepared(**TEXT, first_classes=2)
    assert data.train.label.tolist() == [0, 1, 0, 1] and data.test.example_id.tolist()[0] % 10 == 1
    assert data.class_names == ("0", "1")


def test_empty_rows_are_left_out_where_that_is_asked_for():
    write_texts(".csv", texts=["a", " ", "c", "", "e", "f"])
    write_texts(".csv", "test", TEXTS[:2], LABELS[:2])
    data = prepared(**TEXT, drop_empty=True)
    assert data.train.example_id.tolist() == [0, 2, 4, 5]


# --- images ----------------------------------------------------------------------------------


def pixels(seed, side=8, channels=3):
    shape = (side, side, channels) if channels == 3 else (side, side)
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def encoded(array, kind="PNG"):
    stream = io.BytesIO()
    Image.fromarray(array).save(stream, kind)
    return stream.getvalue()


def write_images(kind, split, arrays, labels):
    if kind == "folder":
        for i, (array, label) in enumerate(zip(arrays, labels, strict=True)):
            place = Path(split, "cat" if label == 0 else "dog", f"{i}.png")
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(encoded(array))
    elif kind == "npz":
        np.savez(f"{split}.npz", image=np.stack(arrays), label=np.array(labels))
    else:
        rows = [{"bytes": encoded(array), "path": None} for array in arrays]
        write_parquet(split, rows, labels)


def write_parquet(split, rows, labels):
    import datasets

    features = {"image": datasets.Image(), "label": datasets.ClassLabel(names=["cat", "dog"])}
    table = datasets.Dataset.from_dict({"image": rows, "label": labels}).cast(
        datasets.Features(features)
    )
    table.to_parquet(f"{split}.parquet")


IMAGE = {"columns": {"image": "image"}}
PLACES = {"folder": ("train", "test"), "npz": ("train.npz", "test.npz")}


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("kind", ["parquet", "folder", "npz"])
def test_every_format_of_images_gives_the_same_pixels(kind, channels):
    arrays, labels = [pixels(seed, channels=channels) for seed in range(6)], [0, 0, 0, 1, 1, 1]
    write_images(kind, "train", arrays, labels)
    write_images(kind, "test", arrays[2:4], labels[2:4])
    train, test = PLACES.get(kind, ("train.*", "test.*"))
    data = prepared(**IMAGE, train=train, test=test)
    wanted = np.stack(arrays).reshape(6, 8, 8, channels)
    assert (data.train.inputs == wanted).all() and data.train.label.tolist() == labels
    assert (data.test.inputs == wanted[2:4]).all() and data.kind == "image"
    assert data.class_names == (("0", "1") if kind == "npz" else ("cat", "dog"))
    scaled = wanted.reshape(-1, channels) / 255
    assert data.attributes["channel_mean"] == pytest.approx(scaled.mean(0))
    assert data.attributes["channel_std"] == pytest.approx(scaled.std(0))


def test_a_grey_image_among_coloured_ones_gets_three_channels():
    write_images("parquet", "train", [pixels(0, channels=1), pixels(1)] * 2, [0, 0, 1, 1])
    write_images("parquet", "test", [pixels(2, channels=1)], [0])
    data = prepared(**IMAGE)
    assert data.train.inputs.shape == (4, 8, 8, 3) and data.test.inputs.shape == (1, 8, 8, 3)
    assert (data.train.inputs[0] == pixels(0, channels=1)[..., None]).all()


def test_large_images_stay_as_they_are_and_are_decoded_when_read():
    arrays = [pixels(seed, side=120) for seed in range(4)]
    write_images("parquet", "train", arrays, [0, 0, 1, 1])
    write_images("parquet", "test", arrays[:1], [0])
    data = prepared(**IMAGE, size=112)
    assert data.kind == "encoded" and data.train.inputs.shape == (4, 112, 112, 3)
    assert len(data.train.inputs) == 4
    shown = data.train.inputs.read(np.array([2, 0]))
    assert shown.shape == (2, 112, 112, 3)
    # 112 of 128, the shorter side being scaled to 128: the middle of what Pillow makes of it
    whole = Image.fromarray(arrays[2]).resize((128, 128), Image.Resampling.BILINEAR)
    assert (shown[0] == np.asarray(whole)[8:120, 8:120]).all()
    assert (data.train.inputs.read(np.array([2]), border=8)[0] == np.asarray(whole)).all()


def test_of_many_large_images_every_so_manieth_says_what_the_channels_hold():
    """Of five images in blocks of three and two, images 0, 2 and 4 are decoded."""
    values = [10, 20, 40, 80, 160]
    files = [encoded(np.full((120, 120), value, np.uint8)) for value in values]
    label, ids = np.array([0, 1, 0, 1, 0]), np.arange(5)
    blocks = [Block(files[part], label[part], ids[part]) for part in (slice(3), slice(3, 5))]
    raw = RawData(
        RawSplit(lambda: blocks), in_memory(files[:1], label[:1], ids[:1] + 9), ("a", "b")
    )
    kept, moments, written = kept_rows(raw, surveys_of(raw, "m"), {}, "m")["train"], Moments(), {}

    def declare(group, name, dims, shape, kind):
        return written.setdefault(name, np.zeros(shape, kind))

    writer = SimpleNamespace(
        declare=declare, write=lambda *given: written.update({given[1]: given[3]})
    )
    write_encoded(writer, "train", kept, ImageForm((112, 112, 1), 112), moments, 2)
    assert moments.attributes()["channel_mean"] == pytest.approx((10 + 40 + 160) / 3 / 255)
    start, stored = written["start"], written["encoded"].tobytes()
    assert [stored[a:b] for a, b in pairwise(start.tolist())] == files


def test_images_of_any_shape_are_cut_to_a_size_that_is_small():
    wide = np.zeros((40, 60, 3), np.uint8)
    wide[:, 20:40] = 255
    write_images("parquet", "train", [wide, wide[:, 10:50], wide, wide], [0, 0, 1, 1])
    write_images("parquet", "test", [wide], [0])
    data = prepared(**IMAGE, size=20)
    assert data.train.inputs.shape == (4, 20, 20, 3)
    assert data.train.inputs[0, 10, 10].tolist() == [255] * 3


# --- the hub ---------------------------------------------------------------------------------


def test_a_folder_in_the_hubs_layout_reads_as_the_hub_does():
    write_images("parquet", "train", [pixels(seed) for seed in range(4)], [0, 0, 1, 1])
    write_images("parquet", "test", [pixels(9)], [1])
    spec = {"path": os.getcwd(), "columns": {"image": "image", "label": "label"}}
    raw = hub.load(spec | {"train": "train", "test": "test"}, {})
    (block,) = raw.train.blocks()
    assert raw.class_names == ("cat", "dog") and block.label.tolist() == [0, 0, 1, 1]
    with pytest.raises(UserError, match=r"split validation.*(Unknown split|not found)"):
        hub.load(spec | {"train": "train", "test": "validation"}, {})


def test_a_repository_of_image_files_is_read_by_their_paths():
    folders("train", "a", "b")
    folders("test", "a", "b")
    spec = {"path": os.getcwd(), "columns": {"image": "image", "label": "label"}}
    raw = hub.load(spec | {"train": "train", "test": "test"}, {})
    (block,) = raw.train.blocks()
    assert raw.class_names == ("a", "b") and block.label.tolist() == [0, 0, 1, 1]
    assert block.inputs[0] == encoded(pixels(0)) and block.inputs[1] == encoded(pixels(1))


def test_a_repository_without_data_files_is_named_with_what_to_do():
    Path("README.md").write_text("Only words.")
    spec = {"path": os.getcwd(), "columns": {"text": "text", "label": "label"}}
    with pytest.raises(UserError, match=r", split train: .* data files.*Correct the path; "):
        hub.load(spec | {"train": "train", "test": "test"}, {})


def test_a_repository_that_does_not_exist_or_is_gated_is_named_with_what_to_do(monkeypatch):
    import datasets

    def refuse(*_, **__):
        raise datasets.exceptions.DatasetNotFoundError("Dataset 'a/b' is gated")

    monkeypatch.setattr(datasets, "load_dataset", refuse)
    spec = {"path": "a/b", "config": "c", "columns": {"text": "text", "label": "label"}}
    with pytest.raises(UserError) as refused:
        hub.load(spec | {"train": "train", "test": "test"}, {})
    said = str(refused.value)
    assert said.startswith("a/b (c), split train: Dataset 'a/b' is gated. Correct the path; ")
    assert said.endswith("accept its terms on its page, then log in with: hf auth login")


def test_a_repository_that_is_a_script_is_refused_and_the_script_does_not_run():
    """It would be read under the name of its folder."""
    place = Path("scripted").resolve()
    place.mkdir()
    (place / "scripted.py").write_text("raise SystemExit('it ran')")
    spec = {"path": str(place), "columns": {"text": "text", "label": "label"}}
    with pytest.raises(UserError, match=r"scripted.py. Code of a repository never runs here: con"):
        hub.load(spec | {"train": "train", "test": "test"}, {})


def test_a_folder_of_a_repository_s_name_is_not_read_in_its_place():
    Path("owner/name").mkdir(parents=True)
    spec = {"path": "owner/name", "columns": {"text": "text", "label": "label"}}
    with pytest.raises(
        UserError, match=r"^owner/name: there is a folder of this name here; rename"
    ):
        hub.load(spec | {"train": "train", "test": "test"}, {})


def test_a_repository_that_cannot_be_reached_is_named_with_what_to_do():
    spec = {"path": "owner/nothing", "columns": {"text": "text", "label": "label"}}
    with pytest.raises(UserError, match=r"owner/nothing, split train: the hub cannot be reached"):
        hub.load(spec | {"train": "train", "test": "test"}, {})


@pytest.mark.parametrize(
    ("name", "columns"),
    [
        ("cifar10", {"image": "img"}),
        ("fashion_mnist", {"image": "image"}),
        ("sst2", {"text": "sentence"}),
        ("qqp", {"text": "question1", "text_pair": "question2"}),
    ],
)
def test_hub_and_files_read_the_same_rows_of_real_data(name, columns, real_data):
    folder = real_data / name
    small = {"train": 200, "test": 100}
    paths = {split: str(folder / f"{split}.parquet") for split in SPLITS}
    data = prepared(**paths, columns=columns, subset=small)
    raw = hub.load(
        {"path": str(folder), "columns": {"label": "label", **columns}}
        | {split: split for split in SPLITS},
        {},
    )
    labels = np.concatenate([block.label for block in raw.train.blocks()])
    assert len(data.train) == 200 and len(data.class_names) == len(raw.class_names)
    assert (labels[data.train.example_id] == data.train.label).all()
    shares = np.bincount(labels) / len(labels)
    assert np.bincount(data.train.label) / 200 == pytest.approx(shares, abs=1 / 200)


# --- what cannot be right --------------------------------------------------------------------


def texts_with(**changed):
    columns = {"sentence": list(TEXTS), "label": list(LABELS)} | changed
    return lambda: (
        pd.DataFrame(columns).to_json("train.jsonl", orient="records", lines=True),
        write_texts(".jsonl", "test", TEXTS[:3], LABELS[:3]),
    )


def header_of_png(width, height):
    """Return an image that consists of only its header."""

    def chunk(kind, content):
        named = kind + content
        return struct.pack(">I", len(content)) + named + struct.pack(">I", zlib.crc32(named))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", b"")


IMMENSE = header_of_png(60_000, 60_000)
LARGE = {"bytes": encoded(pixels(0, side=97)), "path": None}


def image_rows(*rows, test=None, good=None):
    good = good or {"bytes": encoded(pixels(0)), "path": None}
    return lambda: (
        write_parquet("train", [*rows, good, good], [0] * len(rows) + [0, 1]),
        write_parquet("test", [test or good], [0]),
    )


def half(array):
    data = encoded(array, "JPEG")
    return {"bytes": data[: len(data) // 2], "path": None}


BAD = {
    "a column that is not there": (
        texts_with(),
        {"columns": {"text": "sentense"}},
        r"train \(train.jsonl\): there is no column 'sentense' for text; did you mean 'sentence'",
    ),
    "an empty text": (
        texts_with(sentence=["a", "b", " ", "d", "e", "f"]),
        TEXT,
        r"mine: train row 2, column sentence: is empty \(1 such rows\); .* drop_empty: true",
    ),
    "a text that is missing": (
        texts_with(sentence=["a", None, "c", "d", "e", "f"]),
        TEXT,
        r"mine: train row 1, column sentence: is empty",
    ),
    "a number for a text": (
        texts_with(sentence=[1, 2, 3, 4, 5, 6]),
        TEXT,
        r"row 0, column sentence: 1 is not text but int",
    ),
    "a label out of range": (
        texts_with(label=[0, 1, 0, 5, 1, 0]),
        TEXT | {"classes": ["no", "yes"]},
        r"train.*: row 3, column label: 5 is not one of the 2 classes, 0 to 1 or no, yes",
    ),
    "a split without labels": (
        texts_with(label=[-1] * 6),
        TEXT | {"classes": ["no", "yes"]},
        r"row 0, column label: -1 is not one of .*has this split no labels",
    ),
    "labels of one class": (
        texts_with(label=[1] * 6),
        TEXT,
        r"column label: two classes are needed at least, found 1",
    ),
    "a class without training rows": (
        texts_with(),
        TEXT | {"classes": ["no", "yes", "maybe"]},
        r"train holds no example of class 2 \(maybe\) of 3",
    ),
    "an id given twice": (
        texts_with(number=[1, 2, 3, 2, 5, 6]),
        TEXT | {"columns": {"text": "sentence", "id": "number"}},
        r"there is no column 'number' for id",  # of the test split
    ),
    "a subset of more rows than there are": (
        texts_with(),
        TEXT | {"subset": {"train": 7}},
        r"mine: train: a subset of 7 rows is wanted, there are 6",
    ),
    "more first classes than there are": (
        texts_with(),
        TEXT | {"first_classes": 3},
        r"first_classes: 3, but there are 2",
    ),
    "bytes that are no image": (
        image_rows({"bytes": b"hello", "path": None}),
        IMAGE,
        r"mine: train row 0, column image: is not an image that Pillow can read \(5 bytes\)",
    ),
    "an image that ends in the middle": (
        image_rows(half(pixels(3, side=64))),
        IMAGE | {"size": 32},
        r"mine: train row 0, column image: cannot be decoded: ",
    ),
    "a large image that ends in the middle": (
        image_rows(half(pixels(3, side=200))),
        IMAGE | {"size": 112},
        r"mine: train row 0, column image: cannot be decoded: ",
    ),
    "images of two sizes": (
        image_rows({"bytes": encoded(pixels(1, side=9)), "path": None}),
        IMAGE,
        r"images differ in size: 9 x 9 in train row 0, 8 x 8 in train row 1; add size: 224",
    ),
    "test images of another size": (
        image_rows(test={"bytes": encoded(pixels(1, side=9)), "path": None}),
        IMAGE,
        r"images differ in size: 8 x 8 in train row 0, 9 x 9 in test row 0",
    ),
    "large images without a size": (
        image_rows({"bytes": encoded(pixels(1, side=97)), "path": None}, test=LARGE, good=LARGE),
        IMAGE,
        r"mine: images of 97 x 97 are too large to be kept as they are; add size: 224",
    ),
    "an image that says it is immense": (
        image_rows({"bytes": IMMENSE, "path": None}),
        IMAGE,
        r"mine: train row 0, column image: cannot be decoded: Image size \(3600000000 pixels\)",
    ),
    "an image that is missing": (
        image_rows(None),
        IMAGE,
        r"train \(train.parquet\): row 0, column image: is empty",
    ),
    "a number for an image": (
        lambda: [
            Path(f"{split}.jsonl").write_text('{"image": 3, "label": 0}\n{"image": 4, "label": 1}')
            for split in SPLITS
        ],
        IMAGE,
        r"train \(train.jsonl\): row 0, column image: is not an image but int",
    ),
    "an image of 16 bits": (
        image_rows({"bytes": encoded(np.zeros((8, 8), np.uint16)), "path": None}),
        IMAGE,
        r"train row 0, column image: holds numbers of mode I;16; save it with 8 bits",
    ),
    "a file that is no table": (
        lambda: (Path("train.parquet").write_bytes(b"PAR1xx"), Path("test.parquet").touch()),
        TEXT,
        r"train \(train.parquet\): cannot be read: ",
    ),
    "a CSV file without a line": (
        lambda: (Path("train.csv").touch(), Path("test.csv").touch()),
        TEXT,
        r"train.csv: is empty; its first line must name the columns",
    ),
    "a header without a row": (
        lambda: (write_texts(".csv"), Path("test.csv").write_text("sentence,label\n")),
        TEXT,
        r"mine: test: the split is empty",
    ),
    "two npz files": (
        lambda: [
            np.savez(f"{name}.npz", image=np.zeros((4, 8, 8), "u1"), label=[0, 1, 0, 1])
            for name in ("train1", "train2", "test1")
        ],
        IMAGE | {"train": "train*.npz", "test": "test*.npz"},
        r"train \(train1.npz, ...\): one npz file for a split; write one name",
    ),
    "images of floats": (
        lambda: [
            np.savez(f"{split}.npz", image=np.zeros((4, 8, 8)), label=[0, 1, 0, 1])
            for split in SPLITS
        ],
        IMAGE,
        r"array image is float64; images are uint8",
    ),
    "channels first": (
        lambda: [
            np.savez(f"{split}.npz", image=np.zeros((4, 3, 8, 8), "u1"), label=[0, 1, 0, 1])
            for split in SPLITS
        ],
        IMAGE,
        r"array image has shape \(4, 3, 8, 8\); images are .* channels last",
    ),
    "images without pixels": (
        lambda: [
            np.savez(f"{split}.npz", image=np.zeros((4, 0, 8), "u1"), label=[0, 1, 0, 1])
            for split in SPLITS
        ],
        IMAGE,
        r"array image has shape \(4, 0, 8\); images are .* channels last",
    ),
    "arrays of different lengths": (
        lambda: [
            np.savez(f"{split}.npz", image=np.zeros((4, 8, 8), "u1"), label=[0, 1])
            for split in SPLITS
        ],
        IMAGE,
        r"one row for each example, got rows: image 4, label 2",
    ),
    "an npz file of objects": (
        lambda: [
            np.savez(f"{split}.npz", image=np.array([{}, None], object), label=[0, 1])
            for split in SPLITS
        ],
        IMAGE,
        r"cannot be read as npz .*numpy.savez",
    ),
}


@pytest.mark.parametrize("fault", BAD)
def test_data_that_cannot_be_right_is_refused_with_its_place(fault):
    write, options, message = BAD[fault]
    write()
    with pytest.raises(UserError, match=message):
        prepared(**options)
    assert not list(Path("results").rglob("*.nc")), "half a store was left"


def test_an_id_that_is_given_twice_is_refused_with_both_rows():
    write_texts(".csv", number=[1, 2, 3, 2, 5, 6])
    write_texts(".csv", "test", TEXTS[:2], LABELS[:2], number=[7, 8])
    options = TEXT | {"columns": {"text": "sentence", "id": "number"}}
    with pytest.raises(UserError, match="train row 3, column number: 2 is given twice, before in "):
        prepared(**options)
    write_texts(".csv", number=[1, 2, 3, 4, 5, 6])
    write_texts(".csv", "test", TEXTS[:2], LABELS[:2], number=[7, 3])
    with pytest.raises(UserError, match=r"test row 1, .*before in train row 2"):
        prepared(**options)
    for id_ in ("x", "1_2"):  # int() takes the second for 12
        write_texts(".csv", "test", TEXTS[:2], LABELS[:2], number=[7, id_])
        with pytest.raises(UserError, match=f"row 1, column number: '{id_}' is not a whole number"):
            prepared(**options)


def test_classes_that_differ_between_the_splits_are_refused():
    import datasets

    for split, names in (("train", ["cat", "dog"]), ("test", ["dog", "cat"])):
        features = {"sentence": datasets.Value("string"), "label": datasets.ClassLabel(names=names)}
        rows = {"sentence": ["a", "b"], "label": [0, 1]}
        table = datasets.Dataset.from_dict(rows).cast(datasets.Features(features))
        table.to_parquet(f"{split}.parquet")
    with pytest.raises(UserError, match=r"their classes differ \(cat, dog and dog, cat\)"):
        prepared(**TEXT)


def test_files_that_change_after_planning_are_refused():
    write_texts(".csv")
    write_texts(".csv", "test", TEXTS[:2], LABELS[:2])
    job = job_of(**TEXT)
    write_texts(".csv", texts=TEXTS[::-1])
    with pytest.raises(UserError, match=r"train: train.csv changed since .*call snakemake again"):
        prepare.run(job)


LONG = f"{'a' * 300}.csv"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("gone.csv", "gone.csv: cannot be read: No such file or directory; repair or remove it"),
        (LONG, f"test: [Errno {errno.ENAMETOOLONG}] File name too long: '{LONG}'"),
    ],
    ids=["gone", "too long"],
)
def test_files_that_cannot_be_read_are_named(name, said):
    write_texts(".csv")
    write_texts(".csv", "test", TEXTS[:2], LABELS[:2])
    job = job_of(**TEXT)
    files = job.files | {"test": [name]}
    with pytest.raises(UserError) as refused:
        prepare.run(Job("prepare", job.spec, "", (), job.output, files=files))
    assert str(refused.value) == said


def test_a_call_without_files_is_refused_with_the_option_that_names_them():
    write_texts(".csv")
    write_texts(".csv", "test", TEXTS[:2], LABELS[:2])
    job = job_of(**TEXT)
    with pytest.raises(UserError, match=r"which files\? call the command with --files"):
        prepare.run(Job("prepare", job.spec, "", (), job.output))


def test_a_label_that_a_source_gives_beyond_its_classes_is_refused_with_its_row():
    """Labels of tables are checked as they are read; those of a source in a module, here."""
    good = in_memory(["a", "b"], np.array([0, 1]), np.array([3, 4]))
    for wrong, said in ((2, "2 is not"), (-1, "-1 is not")):
        bad = in_memory(["a", "b", "c"], np.array([0, 1, wrong]), np.arange(3))
        with pytest.raises(UserError) as refused:
            surveys_of(RawData(good, bad, ("no", "yes")), "own")
        assert str(refused.value) == (
            f"own: test row 2, column label: {said} one of the 2 classes, 0 to 1"
        )


def test_where_files_lie_changes_no_id_and_what_they_hold_does():
    write_texts(".csv")
    write_texts(".csv", "test", TEXTS[:2], LABELS[:2])
    first = job_of(**TEXT).output
    for split in SPLITS:
        Path("elsewhere").mkdir(exist_ok=True)
        Path(f"{split}.csv").rename(f"elsewhere/{split}.csv")
    assert job_of(**TEXT, train="elsewhere/train.csv", test="elsewhere/test.csv").output == first
    write_texts(".csv", texts=TEXTS[::-1])
    write_texts(".csv", "test", TEXTS[:2], LABELS[:2])
    assert job_of(**TEXT).output != first


def test_memory_does_not_grow_with_the_number_of_rows():
    """Peak memory of reading 60,000 rows is that of 6,000, but for their labels and numbers."""
    import tracemalloc

    peaks = []
    for rows in (6_000, 60_000):
        text = [f"row number {i} of the table, long enough to be seen" * 4 for i in range(rows)]
        write_texts(".parquet", texts=text, labels=[i % 2 for i in range(rows)])
        write_texts(".parquet", "test", TEXTS[:2], LABELS[:2])
        del text
        job = job_of(**TEXT)
        raw = prepare.opened(job)
        tracemalloc.start()
        prepare.surveys_of(raw, "mine")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] - peaks[0] < 54_000 * 8 * 8


# --- labels, by name -------------------------------------------------------------------------


def folders(split, *names):
    for name in names:
        for i in range(2):
            place = Path(split, name, f"{i}.png")
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(encoded(pixels(i)))


def test_a_class_that_one_split_lacks_shifts_no_label():
    folders("train", "a", "b", "c")
    folders("test", "a", "c")
    options = IMAGE | {"train": "train", "test": "test"}
    with pytest.raises(UserError, match=r"their classes differ .*name them with classes"):
        prepared(**options)
    data = prepared(**options, classes=["a", "b", "c"])
    assert data.test.label.tolist() == [0, 0, 2, 2]
    data = prepared(**options, classes=["c", "b", "a"])
    assert data.train.label.tolist() == [2, 2, 1, 1, 0, 0] and data.test.label.tolist()[0] == 2
    with pytest.raises(UserError, match=r"its classes are a, b, c, those given are a, b"):
        prepared(**options, classes=["a", "b"])


def test_the_users_names_replace_those_of_a_table_one_by_one():
    write_parquet("train", [encoded(pixels(i)) for i in range(2)], [1, 0])
    write_parquet("test", [encoded(pixels(0))], [1])
    assert prepared(**IMAGE, classes=["feline", "canine"]).train.label.tolist() == [1, 0]


@pytest.mark.parametrize(
    ("values", "names", "label"),
    [
        ([2.0, 1.0, 10.0, 1.0], ("1", "2", "10"), [1, 0, 2, 0]),
        ([True, False, True, False], ("False", "True"), [1, 0, 1, 0]),
        (["01", "1", "2", "02"], ("1", "2"), [0, 0, 1, 1]),
    ],
)
def test_one_value_has_one_name_however_it_is_written(values, names, label):
    write_texts(".jsonl", texts=list("abcd"), labels=values)
    write_texts(".jsonl", "test", ["a"], values[:1])
    data = prepared(**TEXT)
    assert data.class_names == names and data.train.label.tolist() == label


@pytest.mark.parametrize("value", [None, "", " ", float("nan"), [0, 1], 1.5])
def test_what_is_no_label_is_refused_with_its_row(value):
    rows = [{"sentence": "a", "label": 0}, {"sentence": "b", "label": value}]
    Path("train.jsonl").write_text("\n".join(map(json.dumps, rows)))
    write_texts(".jsonl", "test", TEXTS[:2], LABELS[:2])
    with pytest.raises(UserError, match=r"row 1, column label: .*(is empty|is not a label)"):
        prepared(**TEXT)


# --- forms of files --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            b"sentence,label\nhallo, du,1\nwelt, da,0\n",
            r"train.csv: line 2 has 3 fields, the header",
        ),
        (b"sentence,label\na,1\nb\n", r"train.csv: line 3 has 1 fields, the header 2"),
        (b"sentence;label\na;1\n", "line 1: separate columns by commas, not by semicolons"),
        (b"sentence,sentence,label\na,b,1\n", "line 1 names two columns 'sentence'; rename one"),
        (b'sentence,label\n"a,1\n', r"train.csv: line 2: unexpected end of data"),
        ("sentence,label\n\u00e4,1\n".encode("latin-1"), r"train.csv: line .*codec can't decode"),
    ],
)
def test_csv_that_would_be_misread_is_refused_with_its_line(content, message):
    Path("train.csv").write_bytes(content)
    write_texts(".csv", "test", TEXTS[:2], LABELS[:2])
    with pytest.raises(UserError, match=message):
        prepared(**TEXT)


def test_csv_files_of_one_split_have_one_header():
    write_texts(".csv", "train1")
    write_texts(".csv", "train2", other=["x"] * 6)
    write_texts(".csv", "test", TEXTS[:2], LABELS[:2])
    said = r"train2.csv: has the columns sentence, label, other; train1.csv has sentence, label$"
    with pytest.raises(UserError, match=said):
        prepared(**TEXT, train="train*.csv")


def test_blank_lines_of_a_csv_file_are_no_rows():
    for split in SPLITS:
        Path(f"{split}.csv").write_text("sentence,label\n\na,0\n\n\nb,1\n\n")
    data = prepared(**TEXT)
    assert data.train.label.tolist() == [0, 1]


def test_json_of_another_encoding_is_refused_with_what_to_write():
    Path("train.jsonl").write_bytes('{"sentence": "\u00e4", "label": 0}'.encode("latin-1"))
    write_texts(".jsonl", "test", TEXTS[:2], LABELS[:2])
    with pytest.raises(UserError, match=r"^train.jsonl: .*can't decode byte 0xe4 .*save it as UTF"):
        prepared(**TEXT)


def test_of_a_folder_only_the_columns_that_are_wanted_are_read():
    folders("train", "a", "b")
    table = folder_table("train", Path("train"))
    assert list(table.batches(["label"])) == [{"label": [0, 0, 1, 1]}]
    (batch,) = table.batches(["image"])
    assert batch == {"image": [encoded(pixels(i)) for i in (0, 1, 0, 1)]}


def test_a_byte_order_mark_and_windows_line_ends_are_no_part_of_the_table():
    for split in SPLITS:
        text = "sentence,label\r\na,0\r\nb,1\r\n"
        Path(f"{split}.csv").write_bytes(b"\xef\xbb\xbf" + text.encode())
    data = prepared(**TEXT)
    assert data.train.label.tolist() == [0, 1]


def test_a_json_file_may_be_one_array():
    rows = [{"sentence": text, "label": one} for text, one in zip(TEXTS, LABELS, strict=True)]
    for split, blanks in zip(SPLITS, ("", "\n "), strict=True):
        Path(f"{split}.json").write_text(blanks + json.dumps(rows, indent=1))
    assert prepared(**TEXT).train.label.tolist() == LABELS


@pytest.mark.parametrize(
    "content",
    ["", "not json", '["a", "b"]', '{"sentence": "a"', f'{{"label": {"1" * 9999}}}', "[" * 99999],
    ids=["empty", "words", "array", "cut", "digits", "brackets"],
)
def test_json_that_is_none_is_refused(content):
    Path("train.jsonl").write_text(content)
    write_texts(".jsonl", "test", TEXTS[:2], LABELS[:2])
    with pytest.raises(
        UserError, match=r"train.jsonl: (is empty|is not JSON|entry 1 is not an object)"
    ):
        prepared(**TEXT)


def test_a_line_that_is_no_json_is_named():
    Path("train.jsonl").write_text('{"sentence": "a", "label": 0}\n\n{"sentence": }')
    write_texts(".jsonl", "test", TEXTS[:2], LABELS[:2])
    with pytest.raises(UserError, match=r"train.jsonl: is not JSON: line 3: Expecting value; "):
        prepared(**TEXT)


def test_an_array_that_is_no_text_is_not_printed():
    for split in SPLITS:
        np.savez(f"{split}.npz", image=np.zeros((4, 30, 30), "u1"), label=[0, 1, 0, 1])
    with pytest.raises(
        UserError, match=r"(?s)row 0, column image: .* is not text but ndarray"
    ) as error:
        prepared(columns={"text": "image"})
    assert len(str(error.value)) < 200


def test_a_table_without_rows_is_refused_when_a_study_is_planned():
    write_texts(".parquet", texts=[], labels=[])
    write_texts(".parquet", "test")
    data = {"source": "files", "name": "mine", "train": "train.parquet", "test": "test.parquet"}
    dataset = Files.model_validate(data | TEXT)
    assert mistake_in(dataset, None, "train") == "contains no rows; name other files"
    assert mistake_in(dataset, None, "test") is None


def test_a_table_with_damaged_rows_is_refused_by_name():
    for split in SPLITS:
        write_texts(".parquet", split, [f"text {i}" for i in range(1000)], [0, 1] * 500)
    content = bytearray(Path("train.parquet").read_bytes())
    content[40:400] = bytes(360)
    Path("train.parquet").write_bytes(content)
    with pytest.raises(UserError, match=r"train \(train.parquet\): cannot be read: "):
        prepared(**TEXT)


def test_half_a_character_is_refused_with_its_row():
    rows = enumerate(("whole", "a \ud83d b"))
    lines = [json.dumps({"sentence": text, "label": label}) for label, text in rows]
    for split in SPLITS:
        Path(f"{split}.jsonl").write_text("\n".join(lines))
    with pytest.raises(UserError, match=r"row 1, column sentence: .*holds half a character"):
        prepared(**TEXT)


@pytest.mark.parametrize("column", ["sentence", "label"])
@pytest.mark.parametrize("value", ["a\0b", "a \ud83d b"], ids=["NUL", "half a character"])
def test_text_that_a_store_would_cut_or_refuse_is_refused_with_its_row(column, value):
    rows = [{"sentence": "a", "label": "no"}, {"sentence": "b", "label": "yes"} | {column: value}]
    for split in SPLITS:
        Path(f"{split}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    with pytest.raises(UserError, match=rf"row 1, column {column}: .*which no store can"):
        prepared(**TEXT)


def test_a_label_of_thousands_of_digits_is_a_name_like_any_other():
    for split in SPLITS:
        write_texts(".csv", split, TEXTS[:2], ["7" * 5000, "b"])
    assert prepared(**TEXT).class_names == ("7" * 5000, "b")


def test_images_named_by_a_path_are_refused_since_no_hash_would_hold_them():
    Path("some.png").write_bytes(encoded(pixels(0)))
    row = json.dumps({"image": {"path": "some.png"}, "label": 0})
    for split in SPLITS:
        Path(f"{split}.jsonl").write_text(f"{row}\n{row.replace('0', '1')}\n")
    with pytest.raises(UserError, match=r"row 0, column image: names the file some.png; put"):
        prepared(**IMAGE)


def test_a_folder_is_read_as_it_is_hashed_whatever_lies_in_it():
    folders("train", "cat", "dog")
    folders("test", "cat", "dog")
    first = job_of(**IMAGE, train="train", test="test").output
    Path("train/metadata.csv").write_text("file_name,label\n")
    Path("train/cat/deeper").mkdir()
    Path("train/notes.txt").touch()
    assert job_of(**IMAGE, train="train", test="test").output == first
    Path("more").mkdir()
    Path("more/0.tga").write_bytes(encoded(pixels(5), "TGA"))
    Path("train/cow").symlink_to(Path("more").resolve())
    data = prepared(**IMAGE, train="train", test="test", classes=["cat", "cow", "dog"])
    assert data.train.label.tolist() == [0, 0, 1, 2, 2] and data.test.label.tolist() == [0, 0, 2, 2]


def test_arrays_are_cut_to_a_size_as_images_are():
    wide = np.zeros((4, 20, 30, 3), np.uint8)
    wide[:, :, 10:20] = 255
    for split in SPLITS:
        np.savez(f"{split}.npz", image=wide, label=[0, 1, 0, 1], names=3)
    data = prepared(**IMAGE, size=10)
    assert data.train.inputs.shape == (4, 10, 10, 3)
    assert data.train.inputs[0, 5, 5].tolist() == [255] * 3


def test_a_split_of_which_no_row_is_left_is_refused():
    write_texts(".csv", labels=[0, 1, 2, 0, 1, 2])
    write_texts(".csv", "test", TEXTS[:2], [2, 2])
    with pytest.raises(UserError, match="mine: test: no row is left of 2"):
        prepared(**TEXT, first_classes=2)


def test_brackets_in_a_path_are_no_pattern():
    Path("run[1]").mkdir()
    for split in SPLITS:
        table = pd.DataFrame({"sentence": TEXTS, "label": LABELS})
        table.to_parquet(f"run[1]/{split}.parquet")
    data = prepared(**TEXT, train="run[1]/train.parquet", test="run[1]/test.parquet")
    assert data.train.label.tolist() == LABELS


# --- what is a class, and what a program hides in a folder ------------------------------------


def write_labels(train, test=None):
    for split, labels in (("train", train), ("test", test or train)):
        write_texts(".csv", split, [f"text {i}" for i in range(len(labels))], labels)


def test_numbers_beside_a_word_are_each_their_own_class():
    """Words of 0 ... 10 and x: in the order of words 10 would come before 2."""
    values = [*map(str, range(11)), "x"]
    write_labels(values * 3)
    data = prepared(**TEXT)
    assert data.class_names == tuple(values)
    assert data.train.label.tolist() == [*range(12)] * 3


def test_numbers_from_1_on_beside_a_word_are_classes():
    write_labels(["2", "1", "other"] * 4)
    data = prepared(**TEXT)
    assert data.class_names == ("1", "2", "other") and data.train.label.tolist()[:3] == [1, 0, 2]


def test_whole_numbers_with_a_point_are_classes_in_their_order():
    """pandas writes a column of whole numbers with a missing value like this."""
    write_labels(["10.0", "2.0", "1.", "2"] * 3)
    data = prepared(**TEXT)
    assert data.class_names == ("1", "2", "10") and data.train.label.tolist()[:4] == [2, 1, 0, 1]


def test_a_value_that_is_a_given_name_is_that_name_whatever_its_place():
    write_labels(["1", "0", "unknown", "1"] * 3)
    data = prepared(**TEXT, classes=["1", "0", "unknown"])
    assert data.train.label.tolist()[:4] == [0, 1, 2, 0]
    write_labels(["1", "0", "2", "1"] * 3)
    with pytest.raises(UserError, match="row 2, column label: '2' is not one of the 3 classes, 1"):
        prepared(**TEXT, classes=["1", "0", "unknown"])


def test_given_names_may_begin_with_zeros():
    write_labels(["01", "03", "02"] * 4)
    data = prepared(**TEXT, classes=["03", "02", "01"])
    assert data.class_names == ("03", "02", "01") and data.train.label.tolist()[:3] == [2, 0, 1]


def test_numbers_are_no_places_of_words_that_nobody_has_numbered():
    write_labels(["a", "b"] * 3, ["0", "1"] * 3)
    with pytest.raises(UserError, match=r"test.*row 0, column label: '0' is not one of the 2"):
        prepared(**TEXT)


def test_blanks_around_a_label_are_no_part_of_it():
    write_labels(["a ", "b", " a", "b\t"] * 3)
    data = prepared(**TEXT)
    assert data.class_names == ("a", "b") and data.train.label.tolist() == [0, 1] * 6


def test_labels_that_are_measurements_are_refused():
    write_labels([f"0.{i:03}" for i in range(40)])
    with pytest.raises(UserError, match=r"40 classes in 40 rows .*a class that several rows share"):
        prepared(**TEXT)


FOLDERS = IMAGE | {"train": "train", "test": "test"}


def test_one_folder_is_no_two_classes():
    for split in SPLITS:
        folders(split, "a")
    with pytest.raises(UserError, match="two classes are needed at least, found a"):
        prepared(**FOLDERS)


def test_hidden_files_and_folders_are_no_images(capsys):
    for split in SPLITS:
        folders(split, "a", "b", ".ipynb_checkpoints", "a/.cache", "__MACOSX")
        Path(split, "b", "._0.png").write_bytes(b"\0\5\x16\7")
        Path(split, "b", "0.heic").write_bytes(b"x")
    data = prepared(**FOLDERS)
    assert data.class_names == ("a", "b") and data.train.label.tolist() == [0, 0, 1, 1]
    assert "train (train): 1 files are left out" in (said := capsys.readouterr().err)
    assert f"train{os.sep}b{os.sep}0.heic" in said


def test_a_broken_image_of_a_folder_is_named_by_its_file():
    for split in SPLITS:
        folders(split, "a", "b")
    Path("train/b/1.png").write_bytes(b"no image")
    with pytest.raises(UserError, match=r"mine: train file train/b/1.png: is not an image"):
        prepared(**FOLDERS)


def test_a_folder_counts_once_however_many_links_lead_to_it():
    for split in SPLITS:
        folders(split, "a", "b")
    Path("train/a/a").symlink_to(".")
    Path("train/b/up").symlink_to("..")
    assert prepared(**FOLDERS).train.label.tolist() == [0, 0, 1, 1]


def test_a_class_without_an_image_that_can_be_read_is_refused_where_the_study_is_read():
    for split in SPLITS:
        folders(split, "a", "b")
        Path(split, "owl").mkdir()
        Path(split, "owl", "0.heic").write_bytes(b"x")
    dataset = Files.model_validate({"source": "files", "name": "mine"} | FOLDERS)
    assert "train/owl contains no readable image of its own" in mistake_in(dataset, None, "train")


def test_a_name_that_is_too_long_for_a_file_is_no_file():
    given = Files.model_validate({"source": "files", "name": "mine", "train": f"{'a' * 300}.csv",
                                  "test": "test.csv"} | TEXT)  # fmt: skip
    assert mistake_in(given, None, "train").startswith("there is no file ")
    assert _facts_in(Path(given.train), labels=False).startswith("there is no file ")
