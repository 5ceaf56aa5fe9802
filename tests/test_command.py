"""The request to a stage, by its command line or by standard input; unknown commands."""

import errno
import fcntl
import io
import json
import os
import sys
from types import SimpleNamespace

import pytest

from disobey import __main__ as command
from disobey.provenance import spec_id
from disobey.stages.command import main, parsed
from disobey.stores.manifest import read_manifest

SPEC = {"settings": ["it's", "ä b"], "study": "s"}
INPUTS = ["results/a.json", "results/b c.json"]


def options(monkeypatch, text, *words):
    monkeypatch.setattr("sys.stdin", io.StringIO(text))
    return parsed("table", "", [*words, "--output", "x.json"])


def test_standard_input_says_what_the_command_could(monkeypatch):
    text = "\n".join([json.dumps(SPEC), *INPUTS]) + "\n"
    told = options(monkeypatch, text, "--from-stdin")
    given = options(monkeypatch, "", "--spec", json.dumps(SPEC), "--inputs", *INPUTS)
    assert (told.spec, told.inputs) == (given.spec, given.inputs) == (SPEC, INPUTS)


@pytest.mark.parametrize("words", [(), ("--from-stdin", "--spec", "{}")])
def test_a_spec_comes_by_one_way(words, monkeypatch, capsys):
    with pytest.raises(SystemExit):
        options(monkeypatch, "{}", *words)
    assert "give either --spec or --from-stdin" in capsys.readouterr().err


def test_a_first_line_that_is_no_spec_is_refused(monkeypatch, capsys):
    with pytest.raises(SystemExit):
        options(monkeypatch, "", "--from-stdin")
    assert "standard input, line 1: is not JSON" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["--spec", "--files"])
def test_what_is_no_json_object_is_refused_with_the_name_of_its_option(name, monkeypatch, capsys):
    for text, words in (("[1]", "is not a JSON object"), ("{", "is not JSON: ")):
        with pytest.raises(SystemExit) as refused:
            options(monkeypatch, "", *(() if name == "--spec" else ("--spec", "{}")), name, text)
        assert refused.value.code == 2
        assert f"argument {name}: {words}" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        options(monkeypatch, "[1]\n", "--from-stdin")
    assert "standard input, line 1: is not a JSON object" in capsys.readouterr().err


# --- what the command does around a stage ---------------------------------------------------


@pytest.fixture
def stage(tmp_path, monkeypatch):
    """Call a stage whose work is given; it writes one file and ends with a status."""
    output = tmp_path / "results/tables/t.csv.json"

    def call(work=lambda job: None):
        def run(job):
            work(job)
            with job.write(job.store) as path:
                path.write_text("1")

        module = SimpleNamespace(__doc__="", run=run)
        monkeypatch.setitem(sys.modules, "disobey.stages.table", module)
        return main("table", ["--spec", "{}", "--output", str(output)])

    call.output = output
    return call


def test_without_locks_a_job_says_so_and_makes_its_store(stage, monkeypatch, capsys):
    def flock(*_):
        raise OSError(errno.ENOLCK, "no locks available")

    monkeypatch.setattr(fcntl, "flock", flock)
    assert stage(lambda job: print("locked" if job.locked else "without a lock")) == 0
    said = capsys.readouterr()
    assert f"{stage.output.parent}: this file system has no locks" in said.err
    assert said.out == "without a lock\n"
    assert read_manifest(stage.output).file().read_text() == "1"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_disk_that_is_full_elsewhere_is_told_with_what_to_do(number, stage, capsys):
    def fails(job):
        raise OSError(number, os.strerror(number), "cache")

    assert stage(fails) == 2
    assert capsys.readouterr().err == (
        f"disobey table: [Errno {number}] {os.strerror(number)}: 'cache'; free some space and "
        "call again\n"
    )
    assert not list(stage.output.parent.iterdir())  # nor a lock


def test_another_failure_of_the_system_is_shown_as_it_is(stage):
    def fails(job):
        raise OSError(errno.EIO, "input/output error")

    with pytest.raises(OSError, match="input/output error"):
        stage(fails)


def test_one_spec_is_not_stored_under_the_id_of_another(tmp_path, capsys):
    spec, other = {"name": "a"}, {"name": "b"}
    output = tmp_path / f"{spec_id('d', other)}.nc.json"
    assert main("prepare", ["--spec", json.dumps(spec), "--output", str(output)]) == 2
    digits = spec_id("d", spec).partition("-")[2]
    assert capsys.readouterr().err == (
        f"disobey prepare: --output {output}: the id of this spec ends with -{digits}; another "
        f"spec may not be stored under the name {spec_id('d', other)}\n"
    )
    assert not list(tmp_path.iterdir())


# --- unknown commands --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("plann", "no command 'plann'; did you mean 'plan'?"),
        ("dmup", "no command 'dmup'; did you mean 'dump'?"),
        ("snakemake", "no command 'snakemake'; known: accept, basis, "),
    ],
)
def test_an_unknown_command_is_refused_with_the_nearest(capsys, word, said):
    assert command.main([word, "study.yaml"]) == 2
    assert capsys.readouterr().err.startswith(f"disobey: {said}")


@pytest.mark.parametrize("module", ["nothing_here", None])
def test_a_module_that_no_extra_brings_is_an_error_of_the_code(monkeypatch, capsys, module):
    def main(arguments):
        raise ModuleNotFoundError("No module", name=module)

    monkeypatch.setenv("MPLBACKEND", "agg")
    monkeypatch.setattr(command, "main", main)
    with pytest.raises(ModuleNotFoundError):
        command._to_the_end(["train"])
    assert capsys.readouterr().err == ""
