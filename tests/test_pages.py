"""Links of the pages work, names in them exist, and their code runs."""

import re
import shlex
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from disobey.__main__ import TOOLS, main
from disobey.analysis import bias, quality
from disobey.analysis.claims import switching
from disobey.models.shapes import Shape
from disobey.stores.layout import STAGES
from disobey.study import plan as planning
from disobey.study.figures import FIGURES
from disobey.study.loader import load_study
from disobey.study.models import Analysis
from disobey.study.plan import make_plan
from disobey.study.recipes import DISTILL
from disobey.training import progress

REPOSITORY = Path(__file__).parents[1]
PAGES = [*sorted(REPOSITORY.glob("*.md")), *sorted(REPOSITORY.glob("docs/*.md"))]
TUTORIAL, OWN_MODEL, NEW_FIGURE = (
    REPOSITORY / "docs" / name for name in ("tutorial.md", "own-model.md", "new-figure.md")
)
FIRST = REPOSITORY / "workflow" / "studies" / "first.yaml"
# What the worked examples would add.
EXAMPLES = ("plain_cnn", "likelihood")
COMMAND = ".venv/bin/python -m disobey"


@pytest.fixture(params=PAGES, ids=lambda page: page.name)
def page(request):
    return request.param


def blocks(page, kind):
    """Return the fenced blocks of one kind."""
    return re.findall(rf"^```{kind}\n(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S)


def anchors(page):
    """Return the anchors of a page's headings, as git hosts make them."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    headings = re.findall(r"^#+ (.+)$", text, re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def assert_in_order(shown, printed):
    """Each line of a page's output is among the printed ones, in their order; ... skips some."""
    lines = iter(printed.splitlines())
    for line in shown.splitlines():
        if line.strip() != "...":
            assert line in lines, line


# --- every page --------------------------------------------------------------------------------


def test_links_lead_somewhere(page):
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if re.match(r"https?:", link):
            continue
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target), link


def test_commands_exist_with_their_options(page, capsys):
    for command, rest in re.findall(r"-m disobey ([a-z]+)([^`\n]*)", page.read_text("utf-8")):
        assert command in (*STAGES, *TOOLS), command
        options = re.findall(r"(?<= )--[a-z-]+", rest)
        if options:
            with pytest.raises(SystemExit):
                main([command, "--help"])
            known = capsys.readouterr().out
            assert all(option in known for option in options), (command, options)


def test_what_is_made_is_in_the_makefile(page):
    makefile = (REPOSITORY / "Makefile").read_text()
    targets = re.search(r"^\.PHONY: (.+)$", makefile, re.M)[1].split()
    commands = re.findall(r"(?:^    |`)make ([a-z][^`#\n]*)", page.read_text("utf-8"), re.M)
    for target, *variables in map(str.split, commands):
        assert target in targets, target
        for variable in (word for word in variables if "=" in word):
            assert re.search(rf"^{variable.partition('=')[0]} \?=", makefile, re.M), variable


def test_files_that_are_named_exist(page):
    text = page.read_text(encoding="utf-8")
    named = re.findall(r"(?:src|tests|workflow|rules|profiles|benchmarks)/[\w./-]+", text)
    inside = re.findall(
        r"`((?:analysis|training|study|figures|data|models|tools)/[\w/]+\.py)`", text
    )
    for name in [*named, *(f"src/disobey/{path}" for path in inside)]:
        if not any(example in name for example in EXAMPLES):
            assert (REPOSITORY / name.rstrip(".")).exists(), name


def test_the_readme_lists_every_kind_of_figure():
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    assert [kind for kind in FIGURES if f"`{kind}`" not in readme] == []


# --- the tutorial ------------------------------------------------------------------------------


def applied(diff, text):
    """Return a text after a block of lines that begin with a blank, - or +."""
    lines = diff.splitlines()
    before, after = (
        "".join(f"{line[1:]}\n" for line in lines if line[:1] in ("", " ", sign)) for sign in "-+"
    )
    assert text.count(before) == 1, diff
    return text.replace(before, after)


def tutorial():
    """Yield (the last command, the output shown after it, the study file as it is there)."""
    study, called = FIRST.read_text(encoding="utf-8"), ""
    parts = re.compile(
        r"^```(?P<kind>\w+)\n(?P<block>.*?)^```|^    (?P<command>\S[^\n]*)$", re.M | re.S
    )
    for part in parts.finditer(TUTORIAL.read_text(encoding="utf-8")):
        if part["kind"] == "diff":
            study = applied(part["block"], study)
        elif part["kind"] == "text":
            yield called, part["block"], study
        elif part["command"] and not part["command"].startswith("make figures"):
            called = part["command"]


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """Write the tutorial's own study; return its plan."""
    monkeypatch.chdir(tmp_path)

    def write(text):
        Path("mine.yaml").write_text(text, encoding="utf-8")
        return make_plan(load_study("mine.yaml"))

    return write


def test_the_tutorial_s_plans_are_those_of_its_study(mine, capsys):
    shown = [(block, study) for called, block, study in tutorial() if "plan mine" in called]
    assert len(shown) == 3
    for block, study in shown:
        wrong = "there is no model" in block
        mine(study)
        if wrong:
            Path("mine.yaml").write_text(study.replace("student: small,", "student: smal,"))
        assert main(["plan", "mine.yaml"]) == (2 if wrong else 0)
        printed = capsys.readouterr()
        assert_in_order(block, printed.err if wrong else printed.out)


def test_the_tutorial_s_reasons_are_those_beside_the_finished_first_study(mine):
    """The jobs that would run are those that the first study has not made."""
    first = {job.manifest for job in make_plan(load_study(FIRST)).jobs.values()}
    shown = [item for item in tutorial() if item[0] == "make why STUDY=mine.yaml"]
    counted = [item for item in shown if "jobs would run" in item[1]]
    assert len(shown) == 3 and len(counted) == 2
    for _, block, study in counted:
        plan = mine(study)
        stale = [name for name, job in plan.jobs.items() if job.manifest not in first]
        assert block.endswith(f"\n{len(stale)} of {len(plan.jobs)} jobs would run\n")
        named = re.findall(r"^(\w+) (\S+): has not been made", block, re.M)
        assert named and set(named) <= set(stale)


def test_the_ids_of_the_tutorial_are_those_of_its_studies(mine):
    stores = {job.manifest for job in make_plan(load_study(FIRST)).jobs.values()}
    for _, _, study in tutorial():
        stores |= {job.manifest for job in mine(study).jobs.values()}
    named = set(re.findall(r"[\w.-]+-[0-9a-f]{12}\b", TUTORIAL.read_text(encoding="utf-8")))
    assert len(named) > 10
    assert [name for name in named if not any(name in store for store in stores)] == []


def test_the_tutorial_s_own_logits_can_be_compared(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (script,) = (block for block in blocks(TUTORIAL, "python") if "MLPRegressor" in block)
    subprocess.run([sys.executable, "-c", script], check=True)
    text = TUTORIAL.read_text(encoding="utf-8")
    (command,) = re.findall(rf"^    {re.escape(COMMAND)} (compare .+)$", text, re.M)
    assert main(shlex.split(command)) == 0
    (shown,) = (block for block in blocks(TUTORIAL, "text") if block.startswith("teacher0"))
    printed = capsys.readouterr().out
    # What a line says of an interval may be otherwise where libraries round otherwise.
    masked = [re.sub(r"−?\d[\d.,]*", "#", text) for text in (shown, printed)]
    said = "\n".join(line for line in masked[0].splitlines() if not line.startswith(" " * 6))
    assert_in_order(re.sub(r" +", " ", said), re.sub(r" +", " ", masked[1]))


# --- a model and a figure of one's own -----------------------------------------------------------


def module_of(text, name, monkeypatch):
    """Run a block as a module of the package."""
    module = ModuleType(name)
    monkeypatch.setitem(sys.modules, name, module)
    exec(text, vars(module))
    return module


def test_the_page_s_model_has_the_parameters_and_layers_that_its_options_say(monkeypatch):
    network, options = (
        module_of(text, f"disobey.models.{name}", monkeypatch)
        for text, name in zip(
            blocks(OWN_MODEL, "python"), ("plain_cnn", "options_of_plain_cnn"), strict=True
        )
    )
    inputs = np.zeros((1, 9, 8, 3), np.uint8)
    data = SimpleNamespace(train=SimpleNamespace(inputs=inputs), class_names=tuple("abc"))
    given = options.PlainCnn(family="plain_cnn", widths=[4, 5])
    model = network.build(given.model_dump(), data)
    counted = sum(parameter.numel() for parameter in model.parameters())
    assert given.cost(Shape(inputs.shape[1:], 3)).parameters == counted
    matrices = {name for name, part in model.named_parameters() if part.dim() > 1}
    assert {f"{layer}.weight" for layer in given.trackable()} == matrices


def test_the_page_s_lines_of_lists_are_there_to_be_changed():
    options = REPOSITORY / "src/disobey/models/options.py"
    added, *_ = blocks(OWN_MODEL, "diff")
    applied(added, options.read_text(encoding="utf-8"))
    (added,) = blocks(NEW_FIGURE, "diff")
    applied(added, (REPOSITORY / "src/disobey/study/figures.py").read_text(encoding="utf-8"))


def test_the_page_s_study_is_right_but_for_its_family(mine):
    (study,) = blocks(OWN_MODEL, "yaml")
    plan = mine(study.replace("plain_cnn, widths", "mlp, hidden").replace("convolution", "hidden"))
    jobs = [stage for stage, _ in plan.jobs]
    said = re.findall(r"^ +(\d+) (\w+)$", blocks(OWN_MODEL, "text")[0], re.M)
    assert said and all(jobs.count(stage) == int(number) for number, stage in said)


def test_the_page_s_figure_draws_and_its_caption_renders(monkeypatch):
    from disobey.report.gallery import to_html
    from disobey.stores.layout import CAPTIONS

    monkeypatch.syspath_prepend(REPOSITORY / "tests" / "figures")
    from synthetic_analyses import make_analyses

    (text,), (caption,) = blocks(NEW_FIGURE, "python"), blocks(NEW_FIGURE, "rst")
    module = module_of(text, "disobey.figures.likelihood", monkeypatch)
    drawn = module.draw(make_analyses(2, 3))
    assert len(drawn.axes) > 2
    rendered = to_html(caption, CAPTIONS)
    assert rendered.title and (rendered.shown + rendered.folded).count("<p>") == 3
    assert "Ours: the paper has no counterpart." in rendered.folded
    assert "Our choice:" in rendered.folded
    assert "system-message" not in rendered.shown + rendered.folded


# --- the science ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [
        f"{planning.MATCHED_RANGE[0]:.0%}".rstrip("%")
        + f" to {planning.MATCHED_RANGE[1]:.0%}".replace("%", " %"),
        f"at up to {progress.POINTS} logarithmically spaced steps",
        f"{progress.SHARE:.0%} of the variance".replace("%", " %"),
        f"learnt {bias.LINEAR_STOP:.0%} of direction 1".replace("%", " %"),
        f"ECE over {quality.ECE_BINS} equal bins",
        f"at least {100 * switching.FITTED:g} %",
        f"{Analysis().resamples:,} times unless a study says otherwise",
        f"$w$ the weight, {DISTILL['kl'](temperature=1).weight:g} unless a study says otherwise",
    ],
)
def test_the_science_says_the_numbers_of_the_code(words):
    text = (REPOSITORY / "docs" / "science.md").read_text(encoding="utf-8")
    assert words in re.sub(r"\s+", " ", text)


def test_formulas_are_closed():
    text = (REPOSITORY / "docs" / "science.md").read_text(encoding="utf-8")
    for paragraph in text.split("\n\n"):
        assert paragraph.count("$") % 2 == 0, paragraph
        assert paragraph.count("{") == paragraph.count("}"), paragraph
