"""Files appear whole or not at all; netCDF files are plain."""

import os
import threading
import tomllib

import netCDF4
import numpy as np
import pytest
import xarray as xr

from disobey.errors import UserError
from disobey.stores.reader import (
    from_half_bits,
    half_bits,
    read_arrays,
    read_attributes,
    read_columns,
    read_groups,
)
from disobey.stores.writer import VARIABLES, NetcdfWriter, atomic, described

# --- one step from the old file to the new ---------------------------------------------------


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_file_appears_when_it_is_complete_and_not_before(tmp_path):
    path = tmp_path / "new" / "store.nc"
    with atomic(path) as temporary:
        temporary.write_text("half")
        assert not path.exists()
        temporary.write_text("whole")
    assert path.read_text() == "whole"
    assert names(path.parent) == ["store.nc"]


def test_temporary_name_lies_in_the_same_folder_and_is_hidden(tmp_path):
    # a rename is one step only within a file system; no rule may take a half store for a store
    with atomic(tmp_path / "store.nc") as temporary:
        temporary.touch()
        assert temporary.parent == tmp_path
        assert temporary.name.startswith(".")
        assert not temporary.name.endswith((".nc", ".json"))


@pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt, SystemExit])
def test_failure_leaves_the_old_file_and_no_temporary_one(tmp_path, failure):
    path = tmp_path / "store.nc"
    path.write_text("old")
    with pytest.raises(failure), atomic(path) as temporary:
        temporary.write_text("half of the new")
        raise failure
    assert path.read_text() == "old"
    assert names(tmp_path) == ["store.nc"]


def test_nothing_written_is_a_failure(tmp_path):
    path = tmp_path / "store.nc"
    path.write_text("old")
    with pytest.raises(FileNotFoundError), atomic(path):
        pass
    assert path.read_text() == "old"


def test_file_is_on_disk_before_it_gets_its_name(tmp_path, monkeypatch):
    path, synced = tmp_path / "store.nc", []
    fsync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda file: (synced.append(path.exists()), fsync(file)))
    with atomic(path) as temporary:
        temporary.write_text("new")
    assert synced == [False]


def test_a_reader_never_meets_a_mixture(tmp_path):
    path, seen = tmp_path / "store", set()
    path.write_text(1000 * "0")
    done = threading.Event()

    def read():
        while not done.is_set():
            seen.add(path.read_text())

    reader = threading.Thread(target=read)
    reader.start()
    for digit in 20 * "123":
        with atomic(path) as temporary, open(temporary, "w") as stream:
            for _ in range(1000):
                stream.write(digit)
    done.set()
    reader.join()
    assert seen <= {1000 * digit for digit in "0123"}


# --- netCDF ---------------------------------------------------------------------------------


@pytest.fixture
def written(tmp_path):
    """Write some variables ``(group, name, dims, values)``; return the file."""

    def write(*variables, **attributes):
        path = tmp_path / "store.nc"
        with NetcdfWriter(path, attributes) as writer:
            for group, name, dims, values in variables:
                writer.write(group, name, dims, values)
        return path

    return write


LOGITS = np.arange(6, dtype=np.float32).reshape(3, 2) / 7


def test_dimensions_are_fixed_and_data_lie_plain(written):
    path = written(("train", "logits", ("example", "class"), LOGITS))
    with netCDF4.Dataset(path) as file:
        assert file.data_model == "NETCDF4"
        variable = file["train/logits"]
        assert variable.chunking() == "contiguous"
        assert not any(value for key, value in variable.filters().items() if key != "complevel")
        sizes = {name: len(dim) for name, dim in file["train"].dimensions.items()}
        assert sizes == {"example": 3, "class": 2}
        assert not any(dim.isunlimited() for dim in file["train"].dimensions.values())
        assert "_FillValue" not in variable.ncattrs()


def test_plain_data_can_be_found_byte_for_byte_in_the_file(written):
    assert LOGITS.tobytes() in written(("/", "logits", ("example", "class"), LOGITS)).read_bytes()


@pytest.mark.parametrize(
    "values",
    [
        LOGITS[:, 0],
        np.array([0.1, 1e300, -0.0]),
        np.array([np.nan, np.inf, 9.969209968386869e36]),  # the last is netCDF's own fill value
        np.array([0, 255, 7], np.uint8),
        np.array([-(2**31), 2**31 - 1, -2147483647], np.int32),
        np.array([-(2**63), 2**63 - 1, 0]),
    ],
    ids=lambda values: str(values.dtype),
)
def test_numbers_come_back_bit_for_bit(written, values):
    read = read_arrays(written(("/", "x", ("example",), values)))["x"]
    assert read.dtype == values.dtype
    assert not isinstance(read, np.ma.MaskedArray)
    assert read.tobytes() == values.tobytes()


@pytest.mark.parametrize(
    "values",
    [["zero", "one"], np.array(["zero", "one"]), np.array(["zero", "one"], object), ["", "日本 é"]],
    ids=["list", "numpy", "object", "unicode"],
)
def test_strings_come_back(written, values):
    read = read_arrays(written(("/", "class_name", ("class",), values)))["class_name"]
    assert read.tolist() == list(values)


def test_a_single_number_comes_back(written):
    assert read_arrays(written(("/", "total", (), 3.5)))["total"] == 3.5


def test_groups_have_dimensions_of_their_own(written):
    path = written(
        ("train", "label", ("example",), [0, 1, 2]),
        ("test", "label", ("example",), [5]),
        ("/", "label", ("example",), [8, 9]),
    )
    assert read_arrays(path, "train")["label"].tolist() == [0, 1, 2]
    assert read_arrays(path, "test")["label"].tolist() == [5]
    assert read_arrays(path)["label"].tolist() == [8, 9]


def test_dimension_of_two_sizes_is_refused(written):
    with pytest.raises(ValueError, match=r"test/label: dimension example is 3, not 2"):
        written(
            ("test", "logits", ("example", "class"), LOGITS),
            ("test", "label", ("example",), [0, 1]),
        )


@pytest.mark.parametrize("dims", [("example",), ("example", "class", "view")])
def test_names_of_dimensions_must_fit_the_array(written, dims):
    with pytest.raises(ValueError, match=r"shorter|longer"):
        written(("/", "logits", dims, LOGITS))


def test_large_variable_can_be_filled_piece_by_piece(tmp_path):
    path = tmp_path / "store.nc"
    with NetcdfWriter(path) as writer:
        variable = writer.declare("train", "logits", ("example", "class"), (3, 2), np.float32)
        variable[2:3] = LOGITS[2:3]
        variable[0:2] = LOGITS[0:2]
    assert np.array_equal(read_arrays(path, "train")["logits"], LOGITS)


def test_reader_returns_only_what_is_named(written):
    path = written(("/", "a", ("x",), [1]), ("/", "b", ("x",), [2]), ("/", "c", ("x",), [3]))
    assert list(read_arrays(path, "/", "c", "a")) == ["c", "a"]
    assert list(read_arrays(path)) == ["a", "b", "c"]


def test_groups_of_a_group_are_named_with_their_variables(written):
    path = written(("ab/inner", "logits", ("example",), np.zeros(2)))
    assert read_groups(path) == {"ab": []}
    assert read_groups(path, "ab") == {"inner": ["logits"]}
    assert read_groups(path, "a") == {}


def test_half_of_the_bits_hold_65504_at_the_most():
    """IEEE 754: what is nearer to that than to the next power of two is rounded to it."""
    values = np.array([65519.9, -65504.0, 1 / 3], np.float32)
    found = from_half_bits(half_bits(values))
    assert found.tolist() == [65504.0, -65504.0, 1365 / 4096]
    words = r"a logit of 6.55e\+04 is too large for float16; write .* views: {dtype: float32}"
    with pytest.raises(UserError, match=words):
        half_bits(np.array([1.0, -65520.0], np.float32))


def test_attributes_of_file_and_variable_come_back(tmp_path):
    path = tmp_path / "store.nc"
    with NetcdfWriter(path, {"run": "mlp8-s0", "temperature": 4.0}) as writer:
        writer.write("train", "logits", ("example", "class"), LOGITS, units="1", long_name="z")
    assert read_attributes(path) == {"run": "mlp8-s0", "temperature": 4.0}
    with netCDF4.Dataset(path) as file:
        assert (file["train/logits"].units, file["train/logits"].long_name) == ("1", "z")


def test_xarray_reads_the_same(written):
    path = written(
        ("train", "logits", ("example", "class"), LOGITS),
        ("train", "class_name", ("class",), ["zero", "one"]),
    )
    with xr.open_dataset(path, group="train", engine="netcdf4") as data:
        assert data.logits.dims == ("example", "class")
        assert np.array_equal(data.logits.values, LOGITS)
        assert data.class_name.values.tolist() == ["zero", "one"]


def test_locks_of_hdf5_are_off():
    # they fail on many cluster file systems
    assert os.environ["HDF5_USE_FILE_LOCKING"] == "FALSE"


def test_file_is_closed_after_a_failure_in_the_middle(tmp_path):
    path = tmp_path / "store.nc"
    with pytest.raises(RuntimeError, match="stop"), NetcdfWriter(path) as writer:
        writer.write("/", "a", ("x",), [1])
        raise RuntimeError("stop")
    assert read_arrays(path)["a"].tolist() == [1]


# --- what variables say of themselves --------------------------------------------------------


@pytest.mark.parametrize(
    ("stage", "name", "words", "units"),
    [
        ("dump", "label", ["class that the model was given, noisy where"], "1"),
        ("train", "seconds", ["wall time of the epoch"], "s"),
        ("compared", "teacher_12", ["the teacher's logit of each class"], "1"),
        ("curves", "equal_accuracy_difference_low",
         ["test accuracy minus the reference's", "difference to the control", "lower end"], "1"),
        ("confidence", "label_binned_model",
         ["mean confidence logit of the model", "at the class of the given label"], "logit"),
    ],
)  # fmt: skip
def test_a_variable_is_described_by_its_name_and_what_is_before_and_behind_it(
    stage, name, words, units
):
    found = described(stage, name)
    parts = found["long_name"].split("; ") if len(words) > 1 else [found["long_name"]]
    assert len(parts) == len(words) and found["units"] == units
    assert all(part.startswith(word) for part, word in zip(parts, words, strict=True))


def test_no_unit_is_one_that_xarray_would_take_for_a_time():
    stages = tomllib.loads(VARIABLES.read_text(encoding="utf-8"))
    for stage in set(stages) - {"all", "beginnings", "endings"}:
        for name in stages[stage]:
            units = described(stage, name)["units"]
            assert "since" not in units and not units.endswith("seconds")


def test_a_store_without_a_stage_has_the_attributes_that_it_is_given_and_no_others(tmp_path):
    with NetcdfWriter(tmp_path / "x.nc") as writer:
        writer.write("train", "example_id", ("example",), [3, 4], of="test")
    with netCDF4.Dataset(tmp_path / "x.nc") as file:
        assert file["train"]["example_id"].ncattrs() == ["of"] and not file["train"].ncattrs()


def test_columns_are_what_is_said_of_examples_whether_classes_have_names_or_not(tmp_path):
    """Stores of earlier versions have no class names, and are compared with current ones."""
    with NetcdfWriter(tmp_path / "x.nc", stage="dump") as writer:
        writer.write("test", "label", ("example",), [0, 1, 1])
        writer.write("test", "class", ("class",), ["a", "b"])
    assert list(read_columns(tmp_path / "x.nc", "test")) == ["label"]
