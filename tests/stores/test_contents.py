"""Hashes of files: of their bytes and order, kept while size and time of change stay."""

import hashlib
import json
import os
import time
from pathlib import Path

import pytest

from disobey.errors import UserError
from disobey.stores import contents
from disobey.stores.contents import content_of, read_content

LONG_AGO = time.time() - 1000


@pytest.fixture
def files(tmp_path, monkeypatch):
    """Three old files, in a folder that is the working directory."""
    monkeypatch.chdir(tmp_path)

    def put(name, text, changed=LONG_AGO):
        path = Path(name)
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        os.utime(path, (changed, changed))
        return path

    return put


def test_the_content_is_that_of_the_bytes_in_their_order(files):
    a, b = files("a", "one"), files("b", "two")
    lines = "".join(f"\0{hashlib.sha256(text).hexdigest()}\n" for text in (b"one", b"two"))
    expected = hashlib.sha256(lines.encode()).hexdigest()
    assert content_of([a, b]) == read_content([a, b]) == expected
    assert content_of([b, a]) != expected


def test_where_bytes_end_counts(files):
    first = content_of([files("a", "onet"), files("b", "wo")])
    assert first != content_of([files("c", "one"), files("d", "two")])


def test_moving_and_renaming_change_nothing_and_a_byte_does(files):
    before = content_of([files("here/a", "one")])
    assert content_of([files("there/b", "one")]) == before
    assert content_of([files("there/b", "onf", LONG_AGO + 1)]) != before


def test_a_file_is_read_once_until_size_or_time_differ(files, monkeypatch):
    path, read = files("a", "one"), []
    real = contents.file_sha256
    monkeypatch.setattr(contents, "file_sha256", lambda path: read.append(path) or real(path))
    first = content_of([path])
    assert content_of([path]) == first and len(read) == 1
    assert json.loads(Path("results/contents.json").read_text())[str(path.absolute())][0] == 3
    files("a", "two", LONG_AGO + 1)
    assert content_of([path]) != first and len(read) == 2
    files("a", "three", LONG_AGO + 1)
    content_of([path])
    assert len(read) == 3


def test_large_files_are_announced_before_they_are_read_and_only_then(files, monkeypatch, capsys):
    monkeypatch.setattr(contents, "SAID_FROM", 100_000_000)
    paths = [files(name, "") for name in "abc"]
    for path in paths:
        os.truncate(path, 70_000_000)
        os.utime(path, (LONG_AGO, LONG_AGO))
    content_of(paths[:1])
    assert capsys.readouterr().err == ""
    for said in ("disobey: reading 0.1 GB of files once\n", ""):  # of the two others
        content_of(paths)
        assert capsys.readouterr().err == said


def test_a_link_to_a_file_that_is_gone_is_named(files, tmp_path):
    gone = tmp_path / "gone.png"
    gone.symlink_to(tmp_path / "nowhere.png")
    with pytest.raises(UserError, match=r"gone.png: cannot be read: No such file .*; repair"):
        content_of([files("a", "one"), gone])


def test_a_name_that_is_not_utf_8_is_refused(tmp_path):
    """As old archives of other systems have some."""
    picture = tmp_path / os.fsdecode(b"caf\xe9.png")
    picture.touch()
    with pytest.raises(UserError, match=r"the file name 'caf\\udce9.png' is not UTF-8; rename it"):
        content_of([picture], below=tmp_path)


def test_a_file_that_has_just_changed_is_not_kept(files):
    path = files("a", "one", time.time())
    first = content_of([path])
    changed = path.stat().st_mtime
    assert content_of([files("a", "two", changed)]) != first


@pytest.mark.parametrize("broken", ["", "[]", '{"a": 1}'])
def test_a_broken_cache_is_made_again(files, broken):
    path = files("a", "one")
    files("results/contents.json", broken)
    assert content_of([path]) == read_content([path]) == content_of([path])


def test_a_folder_that_cannot_be_written_is_no_mistake(files):
    path = files("a", "one")
    files("results", "a file where the folder would be")
    assert content_of([path]) == read_content([path])
