"""Equality of specs and files; versions and the state of git."""

import hashlib
import subprocess

import pytest

from disobey import provenance
from disobey.provenance import canonical, spec_hash, spec_id

# --- specs ----------------------------------------------------------------------------------


def test_canonical_text_is_json_without_blanks_in_the_order_of_the_keys():
    assert canonical({"b": [1, 0.5, None], "a": {"z": "é", "y": True}}) == (
        '{"a":{"y":true,"z":"\\u00e9"},"b":[1,0.5,null]}'
    )


def test_order_of_keys_does_not_move_the_hash_and_order_of_lists_does():
    spec = {"lr": 1, "decay": 2, "inner": {"p": 1, "q": 2}, "seeds": [0, 1]}
    same = {"inner": {"q": 2, "p": 1}, "seeds": [0, 1], "decay": 2, "lr": 1}
    assert spec_hash(same) == spec_hash(spec)
    assert spec_hash(spec | {"seeds": [1, 0]}) != spec_hash(spec)


def test_values_that_change_places_move_the_hash():
    assert spec_hash({"lr": 1, "decay": 2}) != spec_hash({"lr": 2, "decay": 1})


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf")])
def test_a_number_that_json_cannot_say_is_refused(number):
    with pytest.raises(ValueError, match="JSON"):
        canonical({"deep": [{"temperature": number}]})


def test_id_is_the_prefix_and_twelve_digits_of_sha256():
    digits = hashlib.sha256(b'{"a":1}').hexdigest()[:12]
    assert spec_id("mlp8", {"a": 1}) == f"mlp8-{digits}"


def test_file_hash_is_that_of_its_bytes(tmp_path):
    (tmp_path / "abc").write_bytes(b"abc")
    assert provenance.file_sha256(tmp_path / "abc") == (
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-2, B.1
    )


# --- versions and git -------------------------------------------------------------------------


def test_versions_name_what_can_change_a_number():
    versions = provenance.versions()
    assert versions["numpy"] == __import__("numpy").__version__
    assert {"torch", "scipy", "xarray", "netCDF4"} <= versions.keys()


def git(folder, *words):
    subprocess.run(
        ["git", "-C", folder, "-c", "user.name=n", "-c", "user.email=n@example.org", *words],
        check=True,
        capture_output=True,
    )


def test_git_state_tells_a_changed_or_new_source_file(tmp_path, monkeypatch):
    source = tmp_path / "src"
    source.mkdir()
    monkeypatch.setattr(provenance, "__file__", str(source / "provenance.py"))
    assert provenance.git_state() == {"commit": None, "dirty": None}
    git(tmp_path, "init")
    (source / "a.py").write_text("1")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-m", "first")
    clean = provenance.git_state()
    assert len(clean["commit"]) == 40
    assert clean["dirty"] is False
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "run.nc").write_text("a result is no change of the source")
    assert provenance.git_state() == clean
    (source / "b.py").write_text("2")
    assert provenance.git_state() == clean | {"dirty": True}


def test_an_installed_package_has_no_commit_of_the_repository_around_it(tmp_path, monkeypatch):
    installed = tmp_path / ".venv" / "disobey"
    installed.mkdir(parents=True)
    monkeypatch.setattr(provenance, "__file__", str(installed / "provenance.py"))
    git(tmp_path, "init")
    (tmp_path / ".gitignore").write_text(".venv/")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-m", "theirs")
    assert provenance.git_state() == {"commit": None, "dirty": None}
