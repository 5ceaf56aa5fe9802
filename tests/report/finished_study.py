"""A finished study in a few small files: every store has a real manifest, none real content."""

import csv
import itertools
import json
import time
from pathlib import Path

import netCDF4
import pytest
from PIL import Image

from disobey.analysis.claims.claim import WITHHELD
from disobey.analysis.claims.registry import CLAIMS
from disobey.analysis.intervals import CONTRARY, HOLDS, UNDECIDED
from disobey.stages.command import main
from disobey.stores import layout
from disobey.stores.layout import CAPTIONS, FIGURE_FORMATS, log_of, manifest_of
from disobey.stores.manifest import describe, read_manifest, write_manifest

SETTING_FIGURES = ("confidence",)
STUDY_FIGURES = ("calibrated", "inheritance", "accuracy", "fidelity")

STUDY = "small"
RECIPE = {"optimizer": "sgd", "lr": 0.05, "epochs": 3, "batch": 64, "schedule": "cosine"}
SIDES = (HOLDS, CONTRARY, UNDECIDED, WITHHELD)


def write_history(path):
    """Write the history of a training as long as the recipe says."""
    with netCDF4.Dataset(path, "w") as file:
        file.createDimension("epoch", RECIPE["epochs"])
        file.createVariable("train_loss", "f8", ("epoch",))[:] = 1.0


class FinishedStudy:
    """Writes stores below the working folder, and the page that they give."""

    def __init__(self, settings, seeds=(0, 1)):
        self.settings, self.seeds = list(settings), list(seeds)
        self.claims, self.summary, self.accuracy = [], [], []
        data = self.store("prepare", layout.DATA.format(data="digits-1"), [])
        self.analyses = [self._setting(name, data) for name in self.settings]
        self.tables = self._tables()
        self.figures = [
            self._figure(kind, f"{kind}-{name}", [name])
            for kind in SETTING_FIGURES
            for name in self.settings
        ]
        self.figures += [self._figure(kind, kind, self.settings) for kind in STUDY_FIGURES]
        self.explorer = self.store("explorer", layout.EXPLORER.format(study=STUDY), self.analyses)

    def store(self, stage, store, inputs, spec=None, texts=None):
        """Write a store's files and manifest; return the manifest's path."""
        manifest = Path(manifest_of(store))
        files = [Path(store + suffix) for suffix in (texts or {"": stage})]
        for file, text in zip(files, (texts or {"": stage}).values(), strict=True):
            file.parent.mkdir(parents=True, exist_ok=True)
            if callable(text):
                text(file)
            elif isinstance(text, Image.Image):
                text.save(file)
            else:
                file.write_text(text, encoding="utf-8")
        record = describe(
            stage=stage,
            id=Path(store).name.removesuffix(".nc").removesuffix(".csv").removesuffix(".html"),
            spec=spec or {"store": store},
            code="c0de",
            files=files,
            base=manifest.parent,
            inputs=[read_manifest(path) for path in inputs],
            started=time.time() - 1.25 * (1 + len(inputs)),
        )
        write_manifest(manifest, record)
        return str(manifest)

    def _run(self, id, upstream):
        spec = {"model": {"family": "mlp", "hidden": [32, 16]}, "recipe": RECIPE, "id": id}
        files = {"/model.safetensors": id, "/history.nc": write_history}
        run = self.store("train", layout.RUN.format(run=id), upstream, spec, files)
        log = Path(log_of("train", id))
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text("100%")
        return self.store("dump", layout.LOGITS.format(run=id), [run, upstream[0]])

    def _setting(self, name, data):
        # Teachers and references are shared by all settings, as equal runs are in a plan.
        logits = {"teachers": [], "references": [], "students": []}
        for seed in self.seeds:
            teacher = self._run(f"teacher-s{seed}", [data])
            logits["teachers"].append(teacher)
            logits["references"].append(self._run(f"reference-s{seed}", [data]))
            logits["students"].append(self._run(f"student-{name}-s{seed}", [data, teacher]))
        spec = {
            role: [Path(path).name.removesuffix(".nc.json") for path in paths]
            for role, paths in logits.items()
        }
        spec["about"] = {
            "dataset": "digits", "label_noise": 0.2, "teacher": "big", "student": "small",
            "temperature": 4.0, "weight": 1.0,
        }  # fmt: skip
        spec |= {"seeds": self.seeds, "analysis": {"resamples": 100, "seed": 0}}
        store = layout.ANALYSIS.format(study=STUDY, setting=name)
        return self.store("confidence", store, [*itertools.chain(*logits.values())], spec)

    def _tables(self):
        for index, claim in enumerate(CLAIMS):
            found = [self._finding(claim, i + index, name) for i, name in enumerate(self.settings)]
            self.claims += found + [self._beside(row) for row in found if claim.name == "bias"]
            counts = {side: sum(row["verdict"] == side for row in found) for side in SIDES}
            self.summary.append(
                {
                    "claim": claim.name, "text": claim.text, "source": claim.source,
                    "paper": claim.paper, "split": claim.split, "reading": claim.reading,
                    "settings": len(found), **counts,
                    "holds_after_holm": 0, "contrary_after_holm": 0,
                    "expected_by_chance": 0.025 * len(found),
                }
            )  # fmt: skip
        self.accuracy = [
            {
                "setting": name, "model": model, "seed": seed, "split": split, "subset": "all",
                "statistic": "accuracy", "value": value, "low": value - 0.01,
                "high": value + 0.01, "seeds": len(self.seeds), "n": 360,
            }
            for name in self.settings
            for model, value in (("teacher", 0.91), ("reference", 0.88), ("student", 0.905))
            for seed in ("0", "mean")
            for split in ("train", "test")
        ]  # fmt: skip
        rows = {"summary": self.summary, "claims": self.claims, "accuracy": self.accuracy}
        return [self.table(name, rows[name]) for name in rows]

    def table(self, name, rows):
        """Write one table; return its manifest."""
        path = Path("table.csv")
        with open(path, "w", encoding="utf-8", newline="") as stream:
            writer = csv.DictWriter(stream, rows[0])
            writer.writeheader()
            writer.writerows(rows)
        store = layout.TABLE.format(study=STUDY, table=name)
        spec = {"table": name, "study": STUDY}
        return self.store("table", store, self.analyses, spec, {"": path.read_text("utf-8")})

    def _finding(self, claim, number, setting):
        one = len(self.seeds) == 1
        biased = claim.name.startswith("bias")
        return {
            "claim": claim.name, "text": claim.text, "source": claim.source, "paper": claim.paper,
            "setting": setting, "layer": "hidden_1" if biased else "",
            "band": "",
            "placebo": "all" if claim.name == "bias" else "", "statistic": claim.statistic,
            "model": claim.model, "split": claim.split, "subset": claim.subset,
            "reading": claim.reading, "null": claim.null, "side": claim.side,
            "value": 0.5 + number / 8, "low": "" if one else 0.4 + number / 8,
            "high": "" if one else 0.6 + number / 8,
            "control_name": claim.control or "", "control": 0.25 if claim.control else "",
            "seeds": len(self.seeds), "n": "" if biased else 1360, "p": "" if one else 0.1,
            "verdict": UNDECIDED if one else SIDES[number % 4], "counted": True,
            "remark": f"remark {number} where p < 1 is -0.5" if claim.name == "switching" else "",
        }  # fmt: skip

    def _beside(self, row):
        return row | {
            "placebo": "half_lr",
            "control_name": "log ratio of half_lr",
            "control": -0.125,
            "counted": False,
        }

    def _figure(self, kind, name, settings):
        spec = {"study": STUDY, "figure": kind, "settings": settings}
        pdf, png = FIGURE_FORMATS
        files = {pdf: f"%PDF {name}", png: Image.new("RGB", (40, 20 + len(name)))}
        store = layout.FIGURE.format(study=STUDY, figure=name)
        return self.store("figure", store, self.analyses, spec, files)

    def report(self, captions=CAPTIONS, study_file=None):
        """Run the stage; return its exit status and the page, empty where there is none."""
        page = Path(layout.REPORT.format(study=STUDY))
        spec = {"study": STUDY, "settings": self.settings, "seeds": self.seeds}
        inputs = [*self.tables, *self.figures, *self.analyses, self.explorer]
        words = ["--spec", json.dumps(spec), "--inputs", *inputs, "--output", f"{page}.json"]
        words += ["--study-file", str(study_file)] if study_file else []
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("disobey.stages.report.CAPTIONS", captions)
            status = main("report", words)
        return status, page.read_text(encoding="utf-8") if page.is_file() else ""
