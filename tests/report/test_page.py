"""The page: self-contained, verdicts first and as in the tables, what was run from manifests."""

import html as html_module
import itertools
import json
import re
from pathlib import Path
from urllib.parse import unquote

import pytest
from finished_study import SETTING_FIGURES, STUDY, STUDY_FIGURES, FinishedStudy

from disobey.analysis.names import READINGS
from disobey.report.history import elapsed
from disobey.stores import layout

PAPER = "https://arxiv.org/abs/2301.12923"
STAGES = ["prepare", "train", "dump", "confidence", "table", "figure", "explorer"]


def manifests():
    """Read every manifest on disk but the page's own; independent of the walk upstream."""
    paths = [path for path in Path("results").rglob("*.json") if path.name != "report.html.json"]
    return {str(path): json.loads(path.read_text()) for path in paths}


def printed(text):
    """Return a text of a table as the page prints it, but for no-break blanks."""
    return " ".join(text.replace("\u00a0", " ").split())


# --- a single file ---------------------------------------------------------------------------


def test_page_loads_nothing_from_outside(page, seen):
    tags = seen(page).tags
    assert {tag for tag, _ in tags}.isdisjoint({"script", "link", "iframe", "object", "base"})
    sources = [value for _, attributes in tags if (value := attributes.get("src"))]
    assert sources and all(source.startswith("data:image/png;base64,") for source in sources)
    assert not re.search(r"url\(|@import|srcset", page)


def test_links_lead_within_the_page_to_the_paper_or_to_a_file_beside_it(page, seen):
    tags = seen(page).tags
    ids = {attributes["id"] for _, attributes in tags if "id" in attributes}
    links = {attributes["href"] for tag, attributes in tags if tag == "a"}
    assert {PAPER, "explorer.html"} <= links
    for link in links - {PAPER}:
        if link.startswith("#"):
            assert link[1:] in ids
        else:
            assert not link.startswith(("/", "file:"))
            assert (Path("results") / STUDY / unquote(link)).is_file(), link


def test_every_figure_is_shown_also_one_that_shares_its_name_with_a_table(page, seen, study):
    tags = seen(page).tags
    linked = {attributes["href"] for tag, attributes in tags if tag == "a"}
    names = [f"{kind}-{name}" for kind in SETTING_FIGURES for name in study.settings]
    assert {f"figures/{name}.pdf" for name in (*names, *STUDY_FIGURES)} <= linked
    pictures = [attributes for tag, attributes in tags if tag == "img"]
    assert len(pictures) == len(names) + len(STUDY_FIGURES)
    assert all(len(picture["alt"]) > 40 for picture in pictures)
    assert "accuracy" in {Path(path).name.partition(".")[0] for path in study.tables}


def test_page_says_its_language_and_its_headings_are_in_order(page, seen):
    looked = seen(page)
    assert ("html", {"lang": "en"}) in looked.tags
    levels = [int(tag[1]) for tag, _ in looked.headings]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(b - a <= 1 for a, b in itertools.pairwise(levels))


def test_ids_are_unique(page, seen):
    ids = [attributes["id"] for _, attributes in seen(page).tags if "id" in attributes]
    assert len(ids) == len(set(ids))


# --- verdicts --------------------------------------------------------------------------------


def findings(looked, claim):
    """Return the rows of one claim, each a dict by the heads of the columns."""
    heads, *rows = looked.table(f"claim-{claim}")
    return [dict(zip(heads, row, strict=True)) for row in rows]


def decision(row):
    """Return verdict and estimate of a row in the table."""
    return row["verdict"], f"{row['value']:.2f} [{row['low']:.2f}, {row['high']:.2f}]"


def test_each_claim_says_in_how_many_settings_it_holds_and_what_the_paper_reports(page, study):
    text = printed(re.sub(r"<[^>]+>", "", html_module.unescape(page)))
    for row in study.summary:
        said = f"Holds in {row['holds']} of {row['settings']} settings, contrary in "
        said += str(row["contrary"])
        assert said in text and f"the paper: {printed(row['paper'])}" in text
        together = f"holds {row['holds_after_holm']}, contrary {row['contrary_after_holm']}; "
        assert f"{together}by chance alone {row['expected_by_chance']} would hold" in text


def test_verdicts_are_those_of_the_table_by_split_and_reading(page, seen, study):
    looked = seen(page)
    claims = {row["claim"]: row for row in study.claims if row["layer"] == ""}
    for claim, any_row in claims.items():
        wanted = [row for row in study.claims if row["claim"] == claim]
        splits = dict.fromkeys(row["split"] for row in wanted)
        for split in splits:
            where = claim if len(splits) == 1 else f"{claim}-{split}"
            of_split = [row for row in wanted if row["split"] == split]
            rows = findings(looked, where)
            settings = list(dict.fromkeys(row["setting"] for row in of_split))
            assert [row["Setting"] for row in rows] == settings
            for row in of_split:
                column = (row["reading"] or "verdict").capitalize()
                verdict, estimate = decision(row)
                symbol, *said = rows[settings.index(row["setting"])][column].split(maxsplit=2)
                assert said[0] == verdict and symbol != verdict
                if any_row["statistic"] not in ("accuracy", "given_label_confidence"):
                    assert said[1] == printed(estimate)


def test_a_control_is_shown_once_for_readings_that_share_it(page, seen, study):
    heads, *_ = seen(page).table("claim-low_confidence_underfitting-train")
    # Paper and second seed have the reference's own value of the plot; here all are alike.
    assert heads == ["Setting", "Paper", "Control", "Second seed", "Replicate", "Seeds", "n"]
    for row in study.claims:
        if row["reading"] == "replicate":
            row["control"] = 0.75
    study.tables[1] = study.table("claims", study.claims)
    heads, *rows = seen(study.report()[1]).table("claim-low_confidence_underfitting-train")
    assert heads[4:6] == ["Replicate", "Control"]
    assert [(row[2], row[5]) for row in rows] == [("0.25", "0.75")] * 3


def test_the_first_screen_has_the_facts_four_sentences_and_the_overview(study, seen):
    lead = study._figure("overview", "overview", study.settings)
    study.figures.append(lead)
    _, page = study.report()
    study.figures.remove(lead)  # other tests share the study
    first = page.partition('id="found"')[2].partition('id="claims"')[0]
    text = printed(re.sub(r"<[^>]+>", "", html_module.unescape(first)))
    assert f"{len(study.settings)} settings · {len(study.seeds)} seeds · " in text
    lines = re.findall(r"<li>(.*?)</li>", html_module.unescape(first))
    of_paper = dict.fromkeys(row["claim"] for row in study.summary if row["source"] == "paper")
    shown = [next(row for row in study.summary if row["claim"] == name) for name in of_paper][:4]
    assert len(lines) == 4
    for line, row in zip(lines, shown, strict=True):
        assert line.startswith(re.split("[:;] ", row["text"])[0])
        assert f"in {row['holds']} of {row['settings']} settings" in printed(line)
    assert first.count("<img ") == 1 and "figures/overview.pdf" in first
    assert page.count("figures/overview.pdf") == 1


def test_the_matrix_has_a_cell_for_each_claim_split_and_reading(page, study):
    """Its text, its colours and its place are those of summary.csv."""
    rows = {}
    for part in re.findall(r'<details class="claim findings".*?</summary>', page, re.DOTALL):
        name = re.search(r'id="([^"]+)"', part)[1]
        rows[name] = re.findall(r'<span class="cell" style="([^"]+)".*?</span>(.*?)</span>', part)
    columns = [(split, way) for split in ("train", "test") for way in READINGS]
    for name in {row["claim"] for row in study.summary}:
        wanted = [row for row in study.summary if row["claim"] == name]
        assert len(rows[name]) == len(wanted)
        for (style, text), row in zip(rows[name], wanted, strict=True):
            assert text.strip() == f"{row['holds']} of {row['settings']}"
            alike = [
                at
                for at, (split, way) in enumerate(columns, 2)
                if row["split"] in ("", split) and row["reading"] in ("", way)
            ]
            if row["reading"] and not row["split"]:
                alike = alike[:1]  # about weights: it is shown with train
            assert f"grid-column: {alike[0]} / span {len(alike)};" in style
            ends = [float(end) for end in re.findall(r"([\d.]+)%", style)]
            shares = [row[side] / row["settings"] for side in ("holds", "contrary", "undecided")]
            assert ends == pytest.approx([100 * sum(shares[: k + 1]) for k in range(3)], abs=0.1)


def test_verdicts_differ_without_colour(page):
    cells = re.findall(
        r'<span class="verdict (\w+)"><span aria-hidden="true">(.)</span> (\w+)', page
    )
    assert {(name, text) for name, _, text in cells} == {
        (side, side) for side in ("holds", "contrary", "undecided", "withheld")
    }
    assert len({symbol for _, symbol, _ in cells}) == 4


def test_claims_on_bias_name_layer_and_placebo_and_have_no_number_of_examples(page, seen, study):
    rows = findings(seen(page), "bias")
    assert [row["Layer"] for row in rows] == ["hidden_1"] * 6
    assert [row["Placebo"] for row in rows] == ["all"] * 3 + ["half_lr"] * 3
    assert {row["n"] for row in rows} == {"–"}
    assert [row["Control"] for row in rows] == [""] * 3 + ["−0.12 (log ratio of half_lr)"] * 3
    # Those against one placebo stand beside the one that is counted.
    assert page.count('<tr class="beside">') == 3
    assert "Placebo" not in findings(seen(page), "bias_trend")[0]
    assert {row["n"] for row in findings(seen(page), "exaggeration-test")} == {"1,360"}


def test_remarks_are_shown_where_there_are_any(page, seen):
    rows = findings(seen(page), "switching")
    assert all(re.fullmatch(r"remark \d+ where p < 1 is −0.5", row["Remark"]) for row in rows)
    assert "Remark" not in findings(seen(page), "accuracy_gain")[0]


def test_a_claim_says_which_examples_it_is_about_and_which_side(page):
    text = printed(re.sub(r"<[^>]+>", "", page))
    assert (
        "mean probability of the given label, student − reference, is below 0 percentage points; "
        "mislabelled train examples" in text
    )
    assert "accuracy, non-interpolating − interpolating, is clear of 0 " in text


def test_claims_come_first_and_provenance_last(page, seen):
    titles = [text for tag, text in seen(page).headings if tag == "h2"]
    assert titles == [
        "Claims", "Figures", "Accuracy", "Settings", "Words and intervals", "Provenance",
    ]  # fmt: skip


def test_accuracy_is_a_share_in_the_store_and_per_cent_on_the_page(page, seen, study):
    rows = seen(page).table("claim-accuracy_gain")
    gains = [row["value"] for row in study.claims if row["claim"] == "accuracy_gain"]
    share = gains[0]
    assert f"{100 * share:.2f} [{100 * share - 10:.2f}, {100 * share + 10:.2f}]" in rows[1][1]
    rows = seen(page).table("accuracy")
    assert rows[0][:4] == ["Setting", "Teacher", "Reference", "Student"]
    assert rows[1][:4] == ["noisy-self", *(f"{x:.2f} [{x - 1:.2f}, {x + 1:.2f}]"
                           for x in (91.0, 88.0, 90.5))]  # fmt: skip


def test_single_seed_gives_no_interval_and_the_page_says_so(folder, seen):
    status, page = FinishedStudy(["only"], seeds=[0]).report()
    assert status == 0 and "No verdict with one seed" in page
    (row,) = findings(seen(page), "low_confidence_underfitting-train")
    assert row["Paper"] == "○ undecided 0.50"


def test_two_seeds_give_another_warning(folder, page):
    assert "No verdict with one seed" not in page
    assert "Two seeds: an interval is 12.7 standard errors" in page
    _, three = FinishedStudy(["only"], seeds=[0, 1, 2]).report()
    assert "Two seeds" not in three and "No verdict with one seed" not in three


# --- what others wrote is escaped ------------------------------------------------------------


def test_html_in_a_name_is_text(folder, seen):
    name = 'a<b onclick="x">&amp;'
    status, page = FinishedStudy([name, "plain"]).report()
    assert status == 0
    assert "<b onclick" not in page and html_module.escape(name, quote=False)[:4] in page
    assert [row[0] for row in seen(page).table("claim-exaggeration-test")[1:]] == [name, "plain"]


# --- what was run ----------------------------------------------------------------------------


def values(page):
    """Return (stage, jobs, seconds, CPU seconds) as written for machines."""
    body = page.partition('id="jobs"')[2].partition("</table>")[0]
    found = {}
    for row in re.findall(r"<tr>(.*?)</tr>", body, re.DOTALL)[1:]:
        stage = re.search(r'class="text">(\w+)', row)[1]
        jobs = int(re.search(r'<td class="number">([\d,]+)</td>', row)[1].replace(",", ""))
        found[stage] = (jobs, *map(float, re.findall(r'<data value="([\d.]+)"', row)))
    return found


def test_jobs_and_durations_add_up_over_all_manifests_each_once(page):
    records = manifests().values()
    found = values(page)
    assert list(found) == [*STAGES, "total"]
    for stage in found:
        here = [record for record in records if stage in ("total", record["stage"])]
        seconds, cpu = (sum(r[name] for r in here) for name in ("seconds", "cpu_seconds"))
        assert found[stage][0] == len(here)
        assert found[stage][1:] == pytest.approx((seconds, cpu), abs=2e-3)
    assert found["total"][1] == pytest.approx(sum(found[stage][1] for stage in STAGES), abs=1e-2)


@pytest.mark.parametrize(
    ("jobs", "seconds"),
    [
        ([("00:01:00", 60)], 60),
        ([("00:01:00", 60), ("00:01:30", 60)], 90),  # half of the second one at the same time
        ([("00:01:00", 60), ("00:00:50", 20)], 60),  # within the first one
        ([("00:01:00", 60), ("08:00:00", 60)], 120),  # with a pause between
        ([], 0),
    ],
)
def test_elapsed_counts_the_time_with_any_job_once(jobs, seconds):
    records = [{"written": f"2026-01-01T{at}Z", "seconds": took} for at, took in jobs]
    assert elapsed(records) == seconds


def test_machines_say_what_models_ran_on(page, study):
    path = Path(layout.LOGITS.format(run="student-noisy-small-s1") + ".json")
    record = json.loads(path.read_text())
    path.write_text(json.dumps(record | {"host": "node7", "machine": "8 cores", "device": "cuda"}))
    _, page = study.report()
    machines = printed(page.partition('id="machines"')[2].partition("</ul>")[0])
    assert "node7: 8 cores; models ran on cuda; 1 job," in machines
    assert f"{record['host']}: {record['machine']}; " in machines


def test_missing_upstream_manifest_is_named_and_the_rest_is_shown(study):
    gone = Path(layout.LOGITS.format(run="student-noisy-small-s1") + ".json")
    gone.unlink()
    status, page = study.report()
    assert status == 0
    assert re.search(rf'id="missing">\s*<li><code>{re.escape(str(gone))}</code></li>\s*</ul>', page)
    # Without it the run behind it cannot be found either.
    assert values(page)["total"][0] == len(manifests()) - 1


def test_nothing_is_called_missing_in_a_complete_study(page):
    assert 'id="missing"' not in page


# --- the study file --------------------------------------------------------------------------


def test_a_log_that_changes_changes_nothing_of_the_page(page, study):
    for log in Path("results/logs").rglob("*.log"):
        log.write_text("another attempt")
    assert study.report(study_file="study.yaml") == (0, page)


def test_the_study_file_is_linked_and_its_text_is_in_the_page(page, study):
    assert '<a href="../../study.yaml">study.yaml</a>' in page
    assert "study: small  # &lt;b&gt;as it was&lt;/b&gt;" in page


def test_where_the_study_file_lies_is_no_part_of_what_the_page_is_made_from(study):
    def record():
        return json.loads(Path(f"results/{STUDY}/report.html.json").read_text())

    Path("elsewhere").mkdir()
    for name in ("study.yaml", "elsewhere/study.yaml"):
        Path(name).write_text("study: small\n")
    study.report(study_file="study.yaml")
    before = record()
    _, page = study.report(study_file="elsewhere/study.yaml")
    assert "../../elsewhere/study.yaml" in page
    assert all(record()[name] == before[name] for name in ("spec_hash", "code", "inputs"))


def test_a_study_file_that_cannot_be_read_is_named(study, capsys):
    status, _ = study.report(study_file="nowhere.yaml")
    assert status == 2 and "--study-file nowhere.yaml: cannot be read" in capsys.readouterr().err


def test_without_a_study_file_the_page_says_nothing_of_it(study):
    assert 'id="study-file"' not in study.report()[1]


def test_differing_versions_are_shown_with_how_many_jobs_had_each(study):
    path = Path(layout.DATA.format(data="digits-1") + ".json")
    record = json.loads(path.read_text())
    record["versions"]["numpy"] = "1.0.0"
    record["git"] = {"commit": None, "dirty": None}
    path.write_text(json.dumps(record))
    _, page = study.report()
    assert (
        re.search(r"numpy \S+ \(\d+ jobs\), 1\.0\.0 \(1 job\)", page) and "no git checkout" in page
    )


# --- captions that cannot be rendered --------------------------------------------------------


def test_missing_caption_is_named(study, tmp_path, capsys):
    status, _ = study.report(captions=tmp_path / "nowhere")
    assert status == 2
    assert "nowhere" in (said := capsys.readouterr().err) and ".rst: no such caption" in said


@pytest.mark.parametrize(
    "text", ["``open", "{{ snakemake.wildcard }}", "{{", ".. raw:: html\n\n x"]
)
def test_broken_caption_is_named_and_never_printed(study, tmp_path, capsys, text):
    for kind in (*SETTING_FIGURES, *STUDY_FIGURES):
        (tmp_path / f"{kind}.rst").write_text(text)
    status, page = study.report(captions=tmp_path)
    assert status == 2 and page == ""
    assert ".rst: " in capsys.readouterr().err


def test_captions_may_name_the_figure(study, tmp_path):
    for kind in (*SETTING_FIGURES, *STUDY_FIGURES):
        text = "Figure ``{{ snakemake.wildcards.figure }}``.\n\nMore."
        (tmp_path / f"{kind}.rst").write_text(text)
    _, page = study.report(captions=tmp_path)
    assert all(f">confidence-{name}</span>" in page for name in study.settings)
