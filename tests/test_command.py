"""The request to a stage: its command line, or standard input where that is long."""

import io
import json

import pytest

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
