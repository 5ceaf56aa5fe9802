"""Verdicts and accuracies, from the study's tables."""

import csv
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Self

from disobey.analysis.names import EFFECT, MODELS, PERCENT, REFERENCE
from disobey.analysis.statistics import statistic_of
from disobey.numbers import NBSP, interval, number, parse
from disobey.stores.manifest import Manifest

Cells = dict[str, str]


@dataclass(frozen=True)
class Reading:
    """A reading of a claim on one split, as printed; see `disobey.analysis.claims.claim.Claim`.

    ``name`` is empty if the claim has only one reading. The printed ``unit`` includes the null, and
    ``counts`` is the reading's row of the summary.
    """

    name: str
    statistic: str
    unit: str
    model: str
    side: str
    null: str
    counts: Cells

    @classmethod
    def of(cls, claim: Cells, counts: Cells) -> Self:
        """Return the reading of a claim, worded as in the record of its statistic."""
        how = statistic_of(claim["statistic"])
        model, null = _printed(claim["model"]), f"{how.scale * parse(claim['null']):g}"
        words = (claim["reading"], how.printed, how.printed_unit, model, claim["side"], null)
        return cls(*words, counts)


@dataclass(frozen=True)
class Decision:
    """The verdict on a claim in one setting by one reading; names any non-reference control."""

    estimate: str
    control: str
    verdict: str


@dataclass
class Row:
    """A claim in one setting on one split.

    The layer, with its band of ranks if there is one, and the placebo may be empty; ``examples`` is
    a dash if the statistic is not over examples. A ``counted`` row decides its setting. Decisions
    are by the name of the reading, since a claim with placebos has some readings without them.
    """

    setting: str
    layer: str
    placebo: str
    seeds: int
    examples: str
    counted: bool
    decisions: dict[str, Decision] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)

    @property
    def remark(self) -> str:
        """All remarks, without duplicates."""
        return "; ".join(dict.fromkeys(self.remarks))


@dataclass
class Held:
    """A claim on one split, as printed: a row for each setting, a column for each reading.

    ``where`` describes the examples, unless they are the whole split.
    """

    split: str
    where: str
    readings: dict[str, Reading] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)

    @property
    def controlled(self) -> list[str]:
        """The readings whose controls are shown: those that differ from the reading before."""
        shown, before = [], [""] * len(self.rows)
        for reading in self.readings:
            known = [row.decisions.get(reading) for row in self.rows]
            here = [decided.control if decided else "" for decided in known]
            if any(here) and here != before:
                shown.append(reading)
            before = here
        return shown

    @property
    def columns(self) -> list[str]:
        """The column headers of all readings and their controls."""
        shown = self.controlled
        heads = ([name or "verdict"] + ["control"] * (name in shown) for name in self.readings)
        return [head.capitalize() for of_reading in heads for head in of_reading]

    @property
    def remarks(self) -> bool:
        """True if any setting has a remark."""
        return any(row.remark for row in self.rows)


@dataclass
class Verdicts:
    """A `disobey.analysis.claims.claim.Claim` with its verdicts: one ``held`` per split."""

    name: str
    text: str
    source: str
    paper: str
    held: list[Held] = field(default_factory=list)

    @property
    def rows(self) -> list[Row]:
        """The rows of all splits."""
        return [row for held in self.held for row in held.rows]

    @property
    def readings(self) -> list[tuple[Held, Reading]]:
        """Every reading on every split."""
        return [(held, reading) for held in self.held for reading in held.readings.values()]

    @property
    def layered(self) -> bool:
        """True if the claim is about layers of a network."""
        return any(row.layer for row in self.rows)

    @property
    def placebos(self) -> bool:
        """True if the claim is tested against placebos."""
        return any(row.placebo for row in self.rows)


def read_table(manifest: Manifest) -> list[Cells]:
    """Return the rows of a verified table, every cell as text."""
    with open(manifest.file(), encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def claims(rows: Iterable[Cells], summary: Iterable[Cells]) -> list[Verdicts]:
    """Return the claims in the order of the table ``claims``, each with its settings and counts."""
    counts = {_which(row): row for row in summary}
    found: dict[str, Verdicts] = {}
    helds: dict[tuple[str, str], Held] = {}
    # Each setting, layer and placebo has one row for all readings on a split.
    shared: dict[tuple[str, ...], Row] = {}
    for cells in rows:
        name, split, reading = _which(cells)
        words = _unbroken(cells["text"]), cells["source"], cells["paper"]
        verdicts = found.setdefault(name, Verdicts(name, *words))
        if (name, split) not in helds:
            helds[name, split] = Held(split, _where(split, cells["subset"]))
            verdicts.held.append(helds[name, split])
        held = helds[name, split]
        held.readings.setdefault(reading, Reading.of(cells, counts[name, split, reading]))
        key = (name, split, *(cells[part] for part in ("setting", "layer", "placebo", "counted")))
        if key not in shared or reading in shared[key].decisions:
            shared[key] = _row(cells)
            held.rows.append(shared[key])
        shared[key].decisions[reading] = _decision(cells)
        shared[key].remarks += filter(None, [_unbroken(cells["remark"])])
    return list(found.values())


def _which(cells: Cells) -> tuple[str, str, str]:
    return cells["claim"], cells["split"], cells["reading"]


def _row(cells: Cells) -> Row:
    return Row(
        cells["setting"],
        cells["layer"] + (f", ranks {cells['band']}" if cells["band"] else ""),
        cells["placebo"],
        int(cells["seeds"]),
        f"{int(cells['n']):,}" if cells["n"] else "–",
        cells["counted"] == "True",
    )


def _decision(cells: Cells) -> Decision:
    scale = statistic_of(cells["statistic"]).scale
    value, low, high, null, control = (
        scale * parse(cells[name]) for name in ("value", "low", "high", "null", "control")
    )
    beside = number(control) if cells["control"] else ""
    if beside and cells["control_name"] != REFERENCE:
        beside += f" ({cells['control_name']})"
    return Decision(interval(value, low, high, null), beside, cells["verdict"])


def _where(split: str, subset: str) -> str:
    return "" if subset == "all" else f"{subset} {split} examples"


@dataclass(frozen=True)
class Accuracies:
    """Test accuracy in one setting, in per cent: ``mean [low, high]`` by model."""

    setting: str
    seeds: int
    examples: int
    by_model: dict[str, str]


def accuracies(rows: Iterable[Cells], settings: Sequence[str]) -> list[Accuracies]:
    """Return the test accuracy of every model, per setting, from the table ``accuracy``."""
    wanted = {"statistic": "accuracy", "split": "test", "subset": "all", "seed": "mean"}
    chosen = [row for row in rows if all(row[name] == wanted[name] for name in wanted)]
    found = []
    for setting in settings:
        of_models = {row["model"]: row for row in chosen if row["setting"] == setting}
        if of_models:
            any_row = next(iter(of_models.values()))
            # A comparison may have no reference, which gives an empty cell.
            texts = {_printed(m): _percent(of_models[m]) if m in of_models else "" for m in MODELS}
            found.append(Accuracies(setting, int(any_row["seeds"]), int(any_row["n"]), texts))
    return found


def _percent(row: Cells) -> str:
    value, low, high = (PERCENT * parse(row[name]) for name in ("value", "low", "high"))
    # The accuracy of a model has no null value; its gain over another model does.
    return interval(value, low, high, 0.0 if row["model"] == EFFECT else math.nan)


def _printed(model: str) -> str:
    """Return a model's name with a true minus sign."""
    return model.replace(" - ", " − ")


def _unbroken(text: str) -> str:
    """Keep comparisons such as ``A > 1`` on one line; numbers get a true minus sign."""
    return re.sub(r"(?<![\w-])-(?=\d)", "−", re.sub(r" ([<>=]) ", rf"{NBSP}\1{NBSP}", text))
