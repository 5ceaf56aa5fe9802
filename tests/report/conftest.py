"""A page, and what a browser would see of it."""

import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest
from finished_study import FinishedStudy

STUDY_TEXT = "study: small  # <b>as it was</b>\n"
SETTINGS = ("noisy-self", "noisy-small", "clean-self")


class Seen(HTMLParser):
    """Tags with attributes, headings, and the rows of tables by the heading above them."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.headings, self.rows = [], [], []
        self._under, self._text, self._open = "", [], None
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.tags.append((tag, attributes))
        if tag in ("h1", "h2", "h3", "h4"):
            self._open, self._text, self._under = tag, [], attributes.get("id", "")
        elif tag == "tr":
            self.rows.append((self._under, []))
        elif tag in ("td", "th"):
            self.rows[-1][1].append("")
            self._open = "cell"

    def handle_endtag(self, tag):
        if tag == self._open:
            self.headings.append((tag, "".join(self._text)))
        if tag in ("td", "th") or tag == self._open:
            self._open = None

    def handle_data(self, data):
        if self._open == "cell":
            self.rows[-1][1][-1] += data
        elif self._open:
            self._text.append(data)

    def table(self, heading):
        """Return the rows below a heading, blanks collapsed."""
        rows = [cells for under, cells in self.rows if under == heading]
        return [[" ".join(cell.split()) for cell in cells] for cells in rows]


@pytest.fixture
def seen():
    return Seen


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty working folder, as a job has one."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def written(tmp_path_factory):
    """A finished study, written once; tests work on copies."""
    folder = tmp_path_factory.mktemp("study")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        return folder, FinishedStudy(SETTINGS)


@pytest.fixture
def study(written, folder):
    shutil.copytree(written[0], folder, dirs_exist_ok=True)
    return written[1]


@pytest.fixture
def page(study):
    Path("study.yaml").write_text(STUDY_TEXT)
    status, html = study.report(study_file="study.yaml")
    assert status == 0
    return html
