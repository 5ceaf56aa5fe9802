"""Manifests vouch for complete stores, and damaged stores are refused."""

import hashlib
import json

import pytest

from disobey.errors import UserError
from disobey.stores.layout import manifest_of, store_of
from disobey.stores.manifest import (
    describe,
    read_manifest,
    remove_broken_manifests,
    write_manifest,
)

AGAIN = "call snakemake again"


@pytest.fixture
def make(tmp_path):
    """Write a store of some files, and its manifest; return the manifest's path."""

    def write(name, inputs=(), **files):
        store = tmp_path / name
        paths = []
        for file, content in files.items():
            path = store if file == "itself" else store / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            paths.append(path)
        manifest = tmp_path / manifest_of(name)
        record = describe(
            stage="dump",
            id=name.removesuffix(".nc"),
            spec={"run": name, "lr": 0.5},
            code="c0de",
            files=paths,
            base=tmp_path,
            inputs=inputs,
            started=0.0,
        )
        write_manifest(manifest, record)
        return manifest

    return write


@pytest.fixture
def single(make):
    return make("a.nc", itself=b"abc")


def edit(path, **changes):
    record = json.loads(path.read_text()) | changes
    path.write_text(json.dumps(record))


# --- paths ----------------------------------------------------------------------------------


@pytest.mark.parametrize("store", ["results/logits/a-0.5.nc", "results/runs/a", "x.json"])
def test_manifest_lies_beside_its_store_and_leads_back(store):
    assert manifest_of(store) == store + ".json"
    assert store_of(manifest_of(store)) == store


# --- read and write -------------------------------------------------------------------------


def test_manifest_is_read_as_it_was_written(single):
    manifest = read_manifest(single)
    assert (manifest.id, manifest.spec) == ("a", {"run": "a.nc", "lr": 0.5})
    assert manifest.store == single.with_name("a.nc")
    sha256 = hashlib.sha256(b"abc").hexdigest()
    assert manifest.record["files"] == {"a.nc": {"bytes": 3, "sha256": sha256}}
    assert (manifest.record["stage"], manifest.record["code"]) == ("dump", "c0de")


def test_manifest_says_where_when_and_with_what_a_store_was_made(single):
    record = read_manifest(single).record
    assert record["versions"]["numpy"] == __import__("numpy").__version__
    assert set(record["git"]) == {"commit", "dirty"}
    assert record["host"] and record["machine"]
    assert record["seconds"] > 0


def test_verified_file_can_be_read(single, make):
    assert read_manifest(single).file().read_bytes() == b"abc"
    folder = read_manifest(make("run", weights=b"w", history=b"h"))
    assert folder.file("run/weights").read_bytes() == b"w"
    assert folder.file("run/history").read_bytes() == b"h"


def test_content_hash_follows_every_file_and_no_circumstance(make):
    first = read_manifest(make("run", weights=b"w", history=b"h")).content
    assert read_manifest(make("run", weights=b"w", history=b"h")).content == first
    assert read_manifest(make("run", weights=b"w", history=b"H")).content != first
    assert read_manifest(make("run", weights=b"h", history=b"w")).content != first


def test_manifest_names_the_content_of_its_inputs(single, make):
    upstream = read_manifest(single)
    record = read_manifest(make("b.nc", inputs=[upstream], itself=b"b")).record
    assert record["inputs"] == {str(single): upstream.content}


# --- what is refused ------------------------------------------------------------------------


def test_missing_manifest_says_that_its_store_is_unfinished(tmp_path):
    (tmp_path / "a.nc").write_bytes(b"half")
    path = tmp_path / "a.nc.json"
    with pytest.raises(UserError) as caught:
        read_manifest(path)
    assert str(caught.value) == (
        f"{path}: no such manifest, so {tmp_path / 'a.nc'} is missing or unfinished; "
        f"call snakemake to make it"
    )


def test_edited_spec_is_refused(single):
    edit(single, spec={"run": "a.nc", "lr": 0.25})
    with pytest.raises(UserError) as caught:
        read_manifest(single)
    assert str(caught.value) == f"{single}: its spec was edited; delete it and {AGAIN}"


GARBAGE = [
    "",
    "{",
    "[]",
    "3",
    "null",
    '"text"',
    "{}",
    '{"files": {}}',
    '{"id": "a", "spec": {}, "spec_hash": "", "content": "", "files": {}}',
    '{"id": "a", "spec": {"x": NaN}, "spec_hash": "", "content": "", "files": {"a.nc": {}}}',
]


@pytest.mark.parametrize("garbage", GARBAGE)
def test_what_is_no_manifest_is_refused(single, garbage):
    single.write_text(garbage)
    with pytest.raises(UserError) as caught:
        read_manifest(single)
    message = str(caught.value)
    assert message.startswith(f"{single}: is not a manifest (")
    assert message.endswith(f"; delete it and {AGAIN}")


def test_manifest_that_is_not_text_is_refused(single):
    single.write_bytes(b"\x89HDF\xff")
    with pytest.raises(UserError, match="is not a manifest"):
        read_manifest(single)


@pytest.mark.parametrize("now", [b"ab", b"abd", b"", b"abcd"])
def test_truncated_or_changed_store_is_refused(single, now):
    store = single.with_name("a.nc")
    store.write_bytes(now)
    with pytest.raises(UserError) as caught:
        read_manifest(single).file()
    message = str(caught.value)
    assert message.startswith(f"{store}: has changed since it was written (SHA-256 ")
    assert message.endswith(f"delete {single} and {AGAIN}")
    assert hashlib.sha256(now).hexdigest()[:12] in message
    assert hashlib.sha256(b"abc").hexdigest()[:12] in message


def test_missing_store_is_refused(single):
    store = single.with_name("a.nc")
    store.unlink()
    with pytest.raises(UserError) as caught:
        read_manifest(single).file()
    assert str(caught.value) == (
        f"{store}: is missing, though {single} vouches for it; {AGAIN}, it makes what is missing"
    )


# --- tidying up before a workflow starts ----------------------------------------------------


def test_intact_manifests_are_kept(single, make):
    folder = make("run", weights=b"w", history=b"h")
    before = [path.read_bytes() for path in (single, folder)]
    assert remove_broken_manifests([str(single), str(folder)]) == []
    assert [path.read_bytes() for path in (single, folder)] == before


def test_manifest_that_is_not_there_is_no_news(tmp_path):
    assert remove_broken_manifests([str(tmp_path / "none.nc.json")]) == []


def test_manifest_of_a_missing_store_is_removed(single):
    single.with_name("a.nc").unlink()
    assert remove_broken_manifests([str(single)]) == [f"{single.with_name('a.nc')}: is missing"]
    assert not single.exists()


def test_manifest_of_a_truncated_store_is_removed_and_the_store_is_left(single):
    store = single.with_name("a.nc")
    store.write_bytes(b"ab")
    assert remove_broken_manifests([str(single)]) == [f"{store}: has 2 bytes instead of 3"]
    assert not single.exists()
    assert store.read_bytes() == b"ab"


def test_one_missing_file_of_a_folder_is_enough(make):
    folder = make("run", weights=b"w", history=b"h")
    (folder.with_name("run") / "history").unlink()
    assert len(remove_broken_manifests([str(folder)])) == 1
    assert not folder.exists()


def test_folder_that_became_a_file_counts_as_missing(make):
    folder = make("run", weights=b"w")
    (folder.with_name("run") / "weights").unlink()
    folder.with_name("run").rmdir()
    folder.with_name("run").write_bytes(b"")
    assert len(remove_broken_manifests([str(folder)])) == 1
    assert not folder.exists()


@pytest.mark.parametrize("garbage", GARBAGE)
def test_garbage_is_removed(single, garbage):
    single.write_text(garbage)
    assert remove_broken_manifests([str(single)]) == [f"{single}: is not a manifest"]
    assert not single.exists()


def test_one_broken_manifest_does_not_touch_the_others(single, make):
    broken = make("b.nc", itself=b"b")
    broken.with_name("b.nc").unlink()
    assert len(remove_broken_manifests([str(broken), str(single)])) == 1
    assert (broken.exists(), single.exists()) == (False, True)
