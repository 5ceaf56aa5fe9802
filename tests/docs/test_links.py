"""Links of all Markdown pages: on a git host, and as the site rewrites them."""

import re
from pathlib import Path

import pytest
from disobey_docs.links import ELSEWHERE, FENCED, LINK, Links

ROOT = Path(__file__).parents[2]
HEADING = re.compile(r"^#{1,6} +(.+?) *$", re.M)
PAGES = sorted(
    path
    for folder in (".", "docs", "docs/reference", "workflow")
    for path in (ROOT / folder).glob("*.md")
)


def prose(page):
    return FENCED.sub("", page.read_text(encoding="utf-8"))


def anchors(page):
    """The anchors that a git host gives to headings."""
    found = []
    for heading in HEADING.findall(prose(page)):
        words = LINK.sub(lambda match: match["words"], heading).lower()
        slug = re.sub(r"[^\w\- ]", "", words).replace(" ", "-")
        found.append(slug if slug not in found else f"{slug}-{found.count(slug)}")
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_of_a_page_lead_somewhere_on_a_git_host(page):
    broken = []
    for link in (match["link"] for match in LINK.finditer(prose(page))):
        path, _, anchor = link.partition("#")
        if ELSEWHERE.match(link) and not link.startswith("#"):
            continue
        place = (page.parent / path).resolve() if path else page
        here = place.exists()
        if not here or (anchor and place.suffix == ".md" and anchor not in anchors(place)):
            broken.append(link)
    assert not broken


def test_every_page_of_the_site_is_in_its_contents():
    contents = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    toctrees = re.findall(r"```\{toctree\}\n(.*?)```", contents, re.S)
    lines = [line for tree in toctrees for line in tree.splitlines() if line and line[0] != ":"]
    named = {line.rpartition("<")[2].rstrip(">") for line in lines}  # NAME, or WORDS <NAME>
    docs = ROOT / "docs"
    found = {
        path.relative_to(docs).with_suffix("").as_posix()
        for pattern in ("*.md", "reference/*.md", "*.ipynb")
        for path in docs.glob(pattern)
    }
    assert found - {"index"} == named


@pytest.fixture
def repository(tmp_path):
    for name in ("README.md", "src/code.py", "docs/index.md", "docs/data.md", "docs/ref/keys.md"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("# Head\n")
    return tmp_path


@pytest.mark.parametrize(
    ("source", "page", "text", "expected"),
    [
        ("docs/data.md", "docs/data.md", "[a](ref/keys.md#k)", "[a](ref/keys.md#k)"),
        (
            "docs/ref/keys.md",
            "docs/ref/keys.md",
            "[a](../../src/code.py)",
            "[a](../../src/code.py)",
        ),
        ("docs/data.md", "docs/data.md", "[a](../README.md#head)", "[a](readme.md#head)"),
        ("README.md", "docs/readme.md", "[a](docs/data.md)", "[a](data.md)"),
        ("README.md", "docs/readme.md", "![a](docs/index.md)", "![a](index.md)"),
        ("docs/data.md", "docs/data.md", "in [src/](../src/) lies", "in src/ lies"),
        (
            "docs/data.md",
            "docs/data.md",
            "[a](https://x.org) [b](#c)",
            "[a](https://x.org) [b](#c)",
        ),
        ("docs/data.md", "docs/data.md", "```\n[a](../src/)\n```\n", "```\n[a](../src/)\n```\n"),
    ],
)
def test_links_out_of_the_docs_become_pages_copies_or_words(
    repository, source, page, text, expected
):
    links = Links(repository, repository / "docs", {"README.md": "readme"})
    assert links.rewritten(text, repository / source, repository / page) == expected
    assert not links.broken


def test_a_link_to_nothing_is_named(repository):
    links = Links(repository, repository / "docs", {})
    page = repository / "docs" / "data.md"
    links.rewritten("[a](../src/gone.py)", page, page)
    assert links.broken == ["docs/data.md: ../src/gone.py is not there"]
