"""Every format gives equal logits; ids match rows, and invalid input is refused."""

import netCDF4
import numpy as np
import pandas as pd
import pytest
import torch
import xarray
from simulated_models import CLASSES, EXAMPLES, scaled_seeds, softmax

from disobey import compare
from disobey.comparison.comparing import align_models
from disobey.comparison.files import labels_facts, logits_facts
from disobey.data.tables import npz_table
from disobey.errors import UserError
from disobey.stores.writer import NetcdfWriter

NAMES = ("teacher", "student", "replicate")
LABEL = scaled_seeds(1)[0].argmax(1)
IDS = 1000 + np.arange(EXAMPLES)


@pytest.fixture
def models():
    return dict(zip(NAMES, scaled_seeds(1, 1.2, 1), strict=True))


def as_npz(folder, name, logits, order=slice(None), ids=IDS):
    path = folder / f"{name}.npz"
    arrays = {"test": logits, "test_label": LABEL, "test_example_id": ids}
    np.savez(path, **{key: array[order] for key, array in arrays.items()})
    return path


def as_single_array(folder, name, logits):
    path = folder / f"{name}.npz"
    np.savez(path, logits=logits, label=LABEL)
    return path


def as_npy(folder, name, logits):
    path = folder / f"{name}.npy"
    np.save(path, logits)
    return path


def as_columns(folder, name, logits):
    table = pd.DataFrame(logits, columns=["ant", "bee", "cat", "dog"])
    path = folder / f"{name}.parquet"
    table.assign(label=LABEL, example_id=IDS).to_parquet(path)
    return path


def as_lists(folder, name, logits):
    path = folder / f"{name}-lists.parquet"
    columns = {"logits": list(logits), "label": LABEL, "split": "test"}
    pd.DataFrame(columns).to_parquet(path)
    return path


def as_store(folder, name, logits):
    path = folder / f"{name}.nc"
    with NetcdfWriter(path) as writer:
        writer.write("test", "logits", ("example", "class"), logits)
        writer.write("test", "label", ("example",), LABEL)
        writer.write("test", "example_id", ("example",), IDS)
    return path


def frame_of(paths, **options):
    teacher, student, *replicates = paths
    return compare(teacher, student, replicates=replicates, resamples=20, **options).frame()


def files(folder, models, write):
    return [write(folder, name, logits) for name, logits in models.items()]


@pytest.mark.parametrize("write", [as_single_array, as_npy, as_columns, as_lists, as_store])
def test_every_format_gives_the_same_numbers(tmp_path, models, write):
    expected = frame_of(files(tmp_path, models, as_npz))
    options = {"labels": LABEL} if write is as_npy else {}
    found = frame_of(files(tmp_path, models, write), **options)
    assert set(expected.statistic) >= {"exaggeration", "accuracy", "inheritance"}
    pd.testing.assert_frame_equal(found, expected, rtol=1e-12)


def test_a_store_of_both_splits_is_read_as_both(tmp_path, models):
    paths = []
    for name, logits in models.items():
        paths.append(tmp_path / f"{name}.nc")
        with NetcdfWriter(paths[-1]) as writer:
            for split in ("train", "test"):
                writer.write(split, "logits", ("example", "class"), logits.astype(np.float32))
                writer.write(split, "label", ("example",), LABEL)
                writer.write(split, "clean_label", ("example",), LABEL)
    assert set(frame_of(paths).split) == {"train", "test"}


# --- rows ------------------------------------------------------------------------------------


@pytest.mark.parametrize("ids", [IDS, np.array([f"image-{i}" for i in IDS])], ids=["int", "str"])
def test_rows_are_matched_by_id_whatever_their_order(tmp_path, models, ids):
    expected = frame_of(files(tmp_path, models, as_npz))
    rng = np.random.default_rng(3)
    shuffled = [
        as_npz(tmp_path, f"{name}-shuffled", logits, rng.permutation(EXAMPLES), ids)
        for name, logits in models.items()
    ]
    in_order = as_npz(tmp_path, "teacher", models["teacher"], ids=ids)
    for mixed in ([in_order, *shuffled[1:]], shuffled):
        found = frame_of(mixed)
        # another order draws other resamples: intervals differ, estimates do not
        pd.testing.assert_series_equal(found.value, expected.value, rtol=1e-9)


def test_files_without_ids_are_matched_by_position_and_it_says_so(tmp_path, models):
    plain = files(tmp_path, models, as_npy)
    assert "by position" in repr(compare(*plain[:2]))
    mixed = compare(as_npz(tmp_path, "teacher", models["teacher"]), plain[1])
    (note,) = mixed.notes
    assert "by example_id" in note and f"{plain[1]}: without ids" in note


def test_labels_of_a_file_with_ids_are_matched_too(tmp_path, models):
    order = np.random.default_rng(4).permutation(EXAMPLES)
    labels = tmp_path / "labels.npz"
    np.savez(labels, label=LABEL[order], example_id=IDS[order])
    arrays = [{"test": z, "test_example_id": IDS} for z in models.values()]
    found = compare(arrays[0], arrays[1], labels=labels)
    assert found.value("accuracy", "teacher") == (models["teacher"].argmax(1) == LABEL).mean()


# --- refusals --------------------------------------------------------------------------------


def refused(*models, **options):
    with pytest.raises(UserError) as error:
        compare(*models, **options)
    return str(error.value)


@pytest.mark.parametrize(
    "change, said",
    [
        (lambda z: z[:, 0], "student, logits: has shape (300,)"),
        (lambda z: z[:, :1], "two classes at least"),
        (lambda z: z[:-1], "student, logits: 299 examples, but teacher, logits has 300"),
        (lambda z: z[:, :-1], "student, logits: 3 classes, but teacher, logits has 4"),
        (lambda z: z.round().astype(int), "student, logits: holds int64"),
        (lambda z: z.astype(object), "holds object"),
        (lambda z: z.astype(str), "holds <U"),
        (lambda z: z + 1j, "holds complex128"),
        (lambda z: np.where(z == z[7, 2], np.nan, z), "student, logits, row 7, class 2: is nan"),
        (lambda z: np.where(z == z[9, 0], -np.inf, z), "row 9, class 0: is -inf; 1 of 300 rows"),
        (lambda z: np.where(z == z[9, 0], -1e300, z), "row 9, class 0: is -1e+300; 1 of 300 rows"),
        (softmax, "student, logits: these are probabilities"),
        (lambda z: softmax(z).astype(np.float16), "say --probabilities"),
    ],
)
def test_logits_that_are_none_are_refused_with_array_and_row(models, change, said):
    assert said in refused(models["teacher"], change(models["student"]))


def test_too_few_examples_are_refused(models):
    assert "has 19 examples" in refused(models["teacher"][:19], models["student"][:19])


def test_a_model_given_twice_is_refused(models):
    teacher, student = models["teacher"], models["student"]
    said = refused(teacher, student, replicates=[teacher.copy()])
    assert "replicate 1, logits: is the same as teacher, logits" in said
    assert "student, logits: is the same as teacher" in refused(teacher, teacher.copy())


def test_a_file_given_twice_is_refused(tmp_path, models):
    path = as_npz(tmp_path, "teacher", models["teacher"])
    assert f"a file is given twice: {path}" in refused(path, path)


def test_what_is_called_probabilities_must_be_some(models):
    p = [softmax(z) for z in models.values()]
    said = refused(p[0], models["student"], probabilities=True)
    assert "student, logits, row 0: is not a row of probabilities" in said
    p[1][5] = [0, 0.5, 0.25, 0.25]
    said = refused(p[0], p[1], probabilities=True)
    assert "row 5, class 0: a probability of 0, as in 1 of 300 rows" in said


@pytest.mark.parametrize(
    "change, said",
    [
        (lambda y: y[:-1], "teacher, logits: 300 examples, but labels, label has 299"),
        (lambda y: np.eye(CLASSES)[y], "has shape (300, 4)"),
        (lambda y: np.where(np.arange(EXAMPLES) == 4, CLASSES, y), "row 4: 4 is not one of the 4"),
        (lambda y: np.where(np.arange(EXAMPLES) == 8, -1, y), "row 8: -1 is not one of the 4"),
        (lambda y: np.where(np.arange(EXAMPLES) == 6, 0.5, y), "row 6: 0.5 is not a whole number"),
        (
            lambda y: np.where(np.arange(EXAMPLES) == 6, np.nan, y),
            "row 6: nan is not a whole number",
        ),
        (lambda y: y.astype(str), "labels, label: holds <U"),
    ],
)
def test_labels_that_are_none_are_refused_with_the_row(models, change, said):
    assert said in refused(models["teacher"], models["student"], labels=change(LABEL))


def test_labels_as_whole_floats_are_labels(models):
    found = compare(models["teacher"], models["student"], labels=LABEL.astype(float))
    assert found.value("accuracy", "teacher") == (models["teacher"].argmax(1) == LABEL).mean()


def with_ids(logits, ids, label=LABEL):
    return {"test": logits, "test_example_id": ids, "test_label": label}


@pytest.mark.parametrize(
    "ids, said",
    [
        (np.where(IDS == 1003, 1002, IDS), "rows 2 and 3: the id 1002 is there twice"),
        (np.where(IDS == 1003, 7, IDS), "has no 1003, which is row 3 of teacher, example_id"),
        (IDS.astype(str), "write both as numbers or both as text"),
        (IDS[:-1], "student, example_id: has shape (299,)"),
        (IDS + 0.5, "row 0: 1000.5 is not a whole number"),
    ],
)
def test_ids_that_differ_or_repeat_are_refused(models, ids, said):
    teacher = with_ids(models["teacher"], IDS)
    assert said in refused(teacher, with_ids(models["student"], ids))


def test_models_of_other_labels_are_refused(models):
    other = np.where(np.arange(EXAMPLES) == 11, (LABEL + 1) % CLASSES, LABEL)
    student = with_ids(models["student"], IDS, other)
    said = refused(with_ids(models["teacher"], IDS), student)
    assert f"student, label: {other[11]} where teacher, label has {LABEL[11]} (row 11" in said


def test_classes_in_another_order_are_refused(tmp_path, models):
    teacher = as_columns(tmp_path, "teacher", models["teacher"])
    student = tmp_path / "student.parquet"
    pd.DataFrame(models["student"], columns=["ant", "cat", "bee", "dog"]).to_parquet(student)
    said = refused(teacher, student)
    assert f"{student}, logits: class 1 is 'cat', but in {teacher}, logits it is 'bee'" in said


def test_class_names_are_as_many_as_classes(models):
    teacher = {"logits": models["teacher"], "class_name": np.array(["ant", "bee"])}
    assert "teacher, class_name: 2 names for 4 classes" in refused(teacher, models["student"])


def test_classes_that_the_data_set_calls_otherwise_are_refused(models):
    pair = ({"test": models["teacher"], "class_name": np.array(list("acbd"))}, models["student"])
    with pytest.raises(UserError) as error:
        align_models([pair], [], labels_are_of="letters", class_names=list("abcd"))
    assert str(error.value) == (
        "teacher, classes: a, c, b, d, but those of letters are a, b, c, d; classes must be the "
        "same and in the same order"
    )
    found = align_models([pair], [], class_names=["ant", "bee", "cow", "dog"])
    np.testing.assert_array_equal(found["test"].logits[0], models["teacher"])


def test_class_names_may_be_bytes_and_one_alone_is_too_few(models):
    names = np.array(["ant", "bee", "käfer", "dog"])
    as_bytes = np.array([name.encode() for name in names])
    teacher, student = ({"logits": models[name]} for name in ("teacher", "student"))
    found = compare(teacher | {"class_name": as_bytes}, student | {"class_name": names})
    assert found.models["test"].class_names == tuple(names)
    said = refused(teacher | {"class_name": np.array("ant")}, student)
    assert "teacher, class_name: 1 names for 4 classes" in said


def test_splits_that_one_model_lacks_are_refused(models):
    both = {"train": models["teacher"], "test": models["teacher"] + 1}
    said = refused(both, {"test": models["student"]})
    assert "student: holds the splits test, but teacher holds train and test" in said
    said = refused({"train": models["teacher"]}, {"train": models["student"]}, labels=LABEL)
    assert "labels: labels of test, but the models hold train" in said


def test_a_split_with_labels_alone_is_refused_with_what_to_write(tmp_path, models):
    student = {"train": models["student"], "test_label": LABEL}
    said = refused({"train": models["teacher"], "test": models["teacher"]}, student)
    told = "test logits: there are none; add an array test, or remove the test label"
    assert said == f"student, {told}"
    path = tmp_path / "student.npz"
    np.savez(path, **student)
    with pytest.raises(UserError) as error:
        logits_facts(path)
    assert str(error.value) == f"{path}, {told}"


def test_labels_of_one_split_are_enough_for_it(models):
    teacher, student = ({"train": z, "test": z + 1} for z in list(models.values())[:2])
    found = compare(teacher, student, labels={"train": LABEL})
    assert found.has_labels("train") and not found.has_labels("test")


def test_a_split_that_would_name_nothing_is_refused(models):
    said = refused({"test": models["teacher"]}, {"test": models["student"]}, split="train")
    assert "split train: every array says of which split it is" in said


def test_pairs_must_be_alike(models):
    teacher, student = models["teacher"], models["student"]
    assert "a pair has 1 models" in refused(teacher, student, pairs=[[teacher + 1]])
    said = refused(teacher, student, pairs=[[teacher + 1, student + 1, student - 1]])
    assert "some pairs have a reference and some have none" in said
    assert "'dev' is not train or test" in refused(teacher, student, split="dev")


def test_files_that_cannot_be_read_are_refused_by_name(tmp_path, models):
    student = models["student"]
    assert "gone.npz: there is no such file" in refused(tmp_path / "gone.npz", student)
    for suffix in (".npz", ".npy", ".parquet", ".nc"):
        path = tmp_path / f"broken{suffix}"
        path.write_bytes(b"no such thing")
        assert f"broken{suffix}: cannot be read as" in refused(path, student), suffix
    other = tmp_path / "model.pt"
    other.touch()
    assert "model.pt: has an unknown format; name a file" in refused(other, student)
    np.save(tmp_path / "pickled.npy", np.array([{}], object), allow_pickle=True)
    assert "pickled.npy: cannot be read" in refused(tmp_path / "pickled.npy", student)


def damaged(path):
    """Overwrite the compressed bytes of the one array of an npz file."""
    content = bytearray(path.read_bytes())
    content[80:84] = b"\xff" * 4
    path.write_bytes(content)


def packed_otherwise(path):
    """Mark the file as compressed by a method that zipfile does not know."""
    content = bytearray(path.read_bytes())
    content[8] = content[content.find(b"PK\x01\x02") + 10] = 99
    path.write_bytes(content)


@pytest.mark.parametrize("fault", [damaged, packed_otherwise])
def test_arrays_that_cannot_be_unpacked_are_refused_by_name(tmp_path, models, fault):
    path = tmp_path / "odd.npz"
    np.savez_compressed(path, logits=models["teacher"])
    fault(path)
    assert "odd.npz: cannot be read as npz" in refused(path, models["student"])
    with pytest.raises(UserError, match="mine: cannot be read as npz"):
        npz_table("mine", [path])


@pytest.mark.parametrize(
    "arrays, said",
    [
        ({"test": 0, "labels": 0}, "array labels: is not known here; did you mean 'label'?"),
        ({"test": 0, "test_logits": 0}, "the test logits are there twice"),
        ({"train": 0, "test": 0, "label": 0}, "Call it train_label or test_label"),
        ({"label": 0}, "holds no logits"),
        (
            {"logits": 0, "top_class": 0, "top_logit": 0},
            "holds logits of all classes and of the top ones; remove one",
        ),
    ],
)
def test_arrays_of_which_it_is_not_clear_what_they_are_are_refused(tmp_path, models, arrays, said):
    path = tmp_path / "odd.npz"
    np.savez(path, **dict.fromkeys(arrays, models["teacher"]))
    assert said in refused(path, models["student"])


@pytest.mark.parametrize(
    "columns, said",
    [
        ({"name": "x"}, "column name: is "),
        ({"split": "dev"}, "column split, row 0: 'dev' is not train or test"),
        ({"split": pd.array([*["test"] * 299, pd.NA], "string")}, "split, row 299: is missing"),
    ],
)
def test_tables_with_other_columns_are_refused(tmp_path, models, columns, said):
    path = tmp_path / "odd.parquet"
    table = pd.DataFrame(models["teacher"], columns=list("abcd"))
    table.assign(**columns).to_parquet(path)
    assert said in refused(path, models["student"])


def test_a_table_without_a_column_for_a_class_is_refused(tmp_path, models):
    path = tmp_path / "labels.parquet"
    pd.DataFrame({"label": LABEL, "example_id": IDS}).to_parquet(path)
    assert refused(path, models["student"]) == f"{path}: holds no logits"


def test_a_table_whose_columns_have_two_names_is_refused(tmp_path, models):
    columns = pd.MultiIndex.from_product([["logit"], list("abcd")])
    pd.DataFrame(models["teacher"], columns=columns).to_parquet(tmp_path / "odd.parquet")
    assert "names of several parts" in refused(tmp_path / "odd.parquet", models["student"])


def test_lists_of_unequal_length_are_refused_with_the_row(tmp_path, models):
    rows = list(models["teacher"])
    rows[12] = rows[12][:-1]
    path = tmp_path / "odd.parquet"
    pd.DataFrame({"logits": rows}).to_parquet(path)
    assert "column logits, row 12: 3 values" in refused(path, models["student"])


def test_a_store_without_logits_is_refused(tmp_path, models):
    path = tmp_path / "odd.nc"
    with NetcdfWriter(path) as writer:
        writer.write("test", "scores", ("example", "class"), models["teacher"])
    assert "group test has no variable logits; found: scores" in refused(path, models["student"])


# --- what is missing, turned or called otherwise ---------------------------------------------


def as_netcdf(path, logits, filled=None, dims=("example", "class"), **attributes):
    """Write logits like another library, with a default fill value."""
    with netCDF4.Dataset(path, "w") as file:
        for name, size in zip(dims, logits.shape, strict=True):
            file.createDimension(name, size)
        variable = file.createVariable("logits", "f4", dims)
        variable.setncatts(attributes)
        variable[: filled or len(logits)] = logits[: filled or len(logits)]
    return path


@pytest.mark.parametrize("missing", [{"filled": 288}, {"missing_value": np.float32(-9999)}])
def test_rows_that_a_file_marks_as_missing_or_never_wrote_are_refused(tmp_path, models, missing):
    student = models["student"].copy()
    student[288:] = -9999
    path = as_netcdf(tmp_path / "student.nc", student, **missing)
    said = refused(models["teacher"], path)
    assert f"{path}, logits, row 288: is missing" in said and "12 of 300 rows" in said


def test_masked_arrays_are_taken_only_if_nothing_is_masked(models):
    teacher, student = models["teacher"], models["student"]
    mask = np.zeros(student.shape, bool)
    whole = compare(teacher, np.ma.masked_array(student, mask), resamples=20)
    assert whole.value("agreement") == (teacher.argmax(1) == student.argmax(1)).mean()
    mask[7, 1] = True
    said = refused(teacher, np.ma.masked_array(student, mask))
    assert "student, logits, row 7: is missing" in said
    label = np.ma.masked_equal(LABEL, LABEL[0])
    assert "labels, label, row 0: is missing" in refused(teacher, student, labels=label)


def test_dimensions_with_names_may_stand_in_any_order(tmp_path, models):
    paths = [
        as_netcdf(tmp_path / f"{name}.nc", logits.T, dims=("class", "example"))
        for name, logits in models.items()
    ]
    in_memory = xarray.DataArray(models["teacher"].T, dims=("classes", "examples"))
    for teacher in (paths[0], in_memory):
        found = compare(teacher, paths[1], labels=LABEL)
        (split,) = found.models.values()
        assert split.logits[0].shape == (EXAMPLES, CLASSES)
        assert found.value("accuracy", "teacher") == (models["teacher"].argmax(1) == LABEL).mean()


@pytest.mark.parametrize("prefix", ["", "logit_"])
def test_columns_with_numbers_are_classes_in_the_order_of_the_numbers(tmp_path, prefix):
    rng = np.random.default_rng(0)
    teacher, student = rng.normal(size=(2, 60, 12))
    path = tmp_path / "teacher.parquet"
    table = pd.DataFrame(teacher, columns=[f"{prefix}{k}" for k in range(12)])
    table[sorted(table.columns)].to_parquet(path)  # 0, 1, 10, 11, 2, ...
    label = rng.integers(0, 12, 60)
    found = compare(path, student, labels=label)
    assert found.value("accuracy", "teacher") == (teacher.argmax(1) == label).mean()
    assert "60 examples of 12 classes" in repr(found)


def test_a_column_of_another_name_than_the_classes_is_refused(tmp_path, models):
    path = tmp_path / "odd.parquet"
    table = pd.DataFrame(models["teacher"], columns=[f"c{k}" for k in range(CLASSES)])
    table.assign(loss=1.5).to_parquet(path)
    assert "column loss: is it a class, as c0 is?" in refused(path, models["student"])


def indexed(path, logits, index):
    pd.DataFrame(logits, columns=list("abcd"), index=index).to_parquet(path)
    return path


@pytest.mark.parametrize("name", ["example_id", "picture", None])
def test_an_index_that_tells_rows_apart_is_their_ids(tmp_path, models, name):
    order = np.random.default_rng(5).permutation(EXAMPLES)
    index = pd.Index(IDS, name=name)
    teacher = indexed(tmp_path / "teacher.parquet", models["teacher"], index)
    student = indexed(tmp_path / "student.parquet", models["student"][order], index[order])
    found = compare(teacher, student)
    expected = (models["teacher"].argmax(1) == models["student"].argmax(1)).mean()
    assert found.value("agreement") == expected and found.notes == (
        "rows are matched by example_id",
    )


def test_an_index_that_repeats_itself_is_no_ids(tmp_path, models):
    """Concatenated batches have such an index."""
    index = pd.Index(np.arange(EXAMPLES) % 100)
    paths = [indexed(tmp_path / f"{n}.parquet", z, index) for n, z in models.items()]
    assert "by position" in compare(*paths[:2]).notes[0]


def in_memory(logits, index, classes):
    return xarray.DataArray(logits, {"example": index, "class": classes}, ("example", "class"))


def as_frame(logits, index, classes):
    return pd.DataFrame(logits, index, classes)


@pytest.fixture
def in_a_file(tmp_path):
    def write(logits, index, classes):
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.nc"
        in_memory(logits, index, classes).rename("logits").T.to_netcdf(path)
        return path

    return write


@pytest.mark.parametrize("ids", [IDS, IDS.astype(str)], ids=["int", "str"])
@pytest.mark.parametrize("form", [in_memory, as_frame, "in_a_file"])
def test_coordinates_and_indices_are_ids_and_class_names(models, ids, form, request):
    write = request.getfixturevalue(form) if isinstance(form, str) else form
    order = np.random.default_rng(5).permutation(EXAMPLES)
    teacher = write(models["teacher"], ids, list("abcd"))
    found = compare(teacher, write(models["student"][order], ids[order], list("abcd")))
    expected = (models["teacher"].argmax(1) == models["student"].argmax(1)).mean()
    assert found.value("agreement") == expected
    assert found.notes == ("rows are matched by example_id",)
    assert found.models["test"].class_names == tuple("abcd")
    other = write(models["student"], ids, list("abdc"))
    assert "class 2 is 'd', but in" in refused(teacher, other)


@pytest.mark.parametrize("key", ["test", "logits"])
@pytest.mark.parametrize("form", [in_memory, as_frame])
def test_they_count_in_a_mapping_too(models, form, key):
    order, named = np.random.default_rng(5).permutation(EXAMPLES), list("abcd")
    teacher = {key: form(models["teacher"], IDS, named)}
    found = compare(teacher, {key: form(models["student"][order], IDS[order], named)})
    expected = (models["teacher"].argmax(1) == models["student"].argmax(1)).mean()
    assert found.value("agreement") == expected
    assert found.notes == ("rows are matched by example_id",)
    other = {key: form(models["student"], IDS, list("abdc"))}
    assert "class 2 is 'd', but in" in refused(teacher, other)
    given = {"class_name": named, "example_id" if key == "logits" else "test_example_id": IDS}
    assert compare(teacher, other | given).value("agreement") == expected


def test_a_table_with_splits_is_not_given_as_one_of_them(models):
    table = as_frame(models["teacher"], IDS, list("abcd")).assign(split="test")
    said = refused({"test": table}, models["student"])
    assert said == "teacher, test: has a column split; remove it, or give it alone"


def test_classes_that_are_only_counted_contradict_no_names(models):
    teacher = as_frame(models["teacher"], np.zeros(EXAMPLES), list("abcd"))
    student = in_memory(models["student"], np.zeros(EXAMPLES), range(CLASSES))
    found = compare(teacher, student, resamples=20)
    assert found.models["test"].class_names == tuple("abcd") and "by position" in found.notes[0]
    assert "labels: holds no label" in refused(teacher, student, labels=pd.DataFrame({"y": LABEL}))


@pytest.mark.parametrize("given", [[[1.0, 2.0], [3.0]], torch.zeros(30, 3).bfloat16()])
def test_what_is_no_array_is_refused_by_its_role(models, given):
    assert "student, logits: cannot be read as an array" in refused(models["teacher"], given)


def test_nullable_columns_are_taken_unless_a_value_is_missing(tmp_path, models):
    table = pd.DataFrame(models["teacher"], columns=list("abcd")).astype("Float32")
    table["label"] = pd.array(LABEL, "Int64")
    path = tmp_path / "teacher.parquet"
    table.to_parquet(path)
    expected = (models["teacher"].argmax(1) == LABEL).mean()
    assert compare(path, models["student"]).value("accuracy", "teacher") == expected
    frame = table.drop(columns="label")
    assert (
        compare(frame, models["student"], labels=table["label"]).value("accuracy", "teacher")
        == expected
    )
    table.loc[4, "c"] = pd.NA
    table.to_parquet(path)
    assert "logits, row 4, class 2: is nan" in refused(path, models["student"])
    table["c"], table.loc[9, "label"] = 0.5, pd.NA
    table.to_parquet(path)
    assert f"{path}, label, row 9: is missing" in refused(path, models["student"])


def test_labels_beside_logits_may_be_a_column_of_pandas(models):
    """This includes nullable columns, which numpy would convert to objects."""
    teacher = {"test": models["teacher"], "test_label": pd.Series(LABEL, dtype="Int64")}
    found = compare(teacher, models["student"])
    assert found.value("accuracy", "teacher") == (models["teacher"].argmax(1) == LABEL).mean()
    teacher["test_label"][7] = pd.NA
    assert "teacher, test_label, row 7: is missing" in refused(teacher, models["student"])


def test_label_noise_is_told_by_a_file_of_labels(tmp_path):
    noisy = np.where(np.arange(EXAMPLES) < 60, (LABEL + 1) % CLASSES, LABEL)
    path = tmp_path / "labels.npz"
    np.savez(path, train_label=noisy, train_clean_label=LABEL, test_label=LABEL)
    assert labels_facts(path) == {"train": {"noise": 60 / EXAMPLES}, "test": {"noise": None}}


def test_ids_may_be_bytes_that_are_text(models):
    teacher, student = models["teacher"], models["student"]
    ids = np.array([f"straße/{i}.png" for i in IDS])
    by_bytes = np.array([one.encode() for one in ids])
    order = np.random.default_rng(6).permutation(EXAMPLES)
    found = compare(with_ids(teacher, ids), with_ids(student[order], by_bytes[order], LABEL[order]))
    assert found.value("agreement") == (teacher.argmax(1) == student.argmax(1)).mean()
    by_bytes[3] = b"\xff"
    said = refused(with_ids(teacher, by_bytes), student)
    assert "teacher, example_id, row 3: b'\\xff'" in said


@pytest.mark.parametrize(
    "ids, said",
    [
        (np.where(IDS == 1005, np.inf, IDS.astype(float)), "row 5: inf is not a whole number"),
        (2.0**53 + 2 * IDS, "row 0: 9007199254742992.0 is rounded"),
        (IDS.astype(np.uint64) + np.uint64(2**63), "is not an id below 2^63"),
        (np.array([*map(str, IDS[:-1]), None], object), "row 299: None is not an id"),
    ],
)
def test_ids_that_cannot_name_an_example_are_refused_with_the_row(models, ids, said):
    assert said in refused(with_ids(models["teacher"], ids), models["student"])
