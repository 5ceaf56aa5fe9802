"""The request to a stage, by its command line or by standard input; commands that there are not."""

import io
import json

import pytest

from disobey import __main__ as command
from disobey.stages.command import parsed

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
