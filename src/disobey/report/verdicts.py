"""Verdicts and accuracies, from the study's tables."""

import csv
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from disobey.analysis.names import (
    DECILES,
    EFFECT,
    EXAGGERATION,
    GAPS,
    INHERITANCE,
    REFERENCE,
    SIGNAL_SCALE,
    STUDENT,
    TEACHER,
)
from disobey.numbers import NBSP, interval, number, parse

if TYPE_CHECKING:
    from disobey.stores.manifest import Manifest

Cells = dict[str, str]
MODELS = (TEACHER, REFERENCE, STUDENT, EFFECT)
PERCENT = 100.0


@dataclass(frozen=True)
class Statistic:
    """How a statistic is called, its unit, and the factor from the table's number to it."""

    label: str
    unit: str
    scale: float = 1.0


STATISTICS = {
    EXAGGERATION: Statistic("A", "ratio"),
    SIGNAL_SCALE: Statistic("A_z", "ratio"),
    INHERITANCE: Statistic("B", "ratio"),
    "accuracy": Statistic("accuracy", "percentage points", PERCENT),
    "given_label_confidence": Statistic(
        "mean probability of the given label", "percentage points", PERCENT
    ),
    "overall_difference": Statistic("overall log ratio", "ln(ratio)"),
    "trend": Statistic("change of the overall log ratio over the range", "ln(ratio)"),
    **{
        name: Statistic(f"G in decile {i} of {DECILES}", "logits") for i, name in enumerate(GAPS, 1)
    },
}


@dataclass(frozen=True)
class Finding:
    """A claim in one setting, as printed.

    Attributes
    ----------
    setting, layer, placebo : str
        What it was held against; the last two are empty where the claim is not about any. Beside a
        layer stands the band of its ranks, where a finding is about one.
    estimate, control : str
        With what the control is, unless it is the reference.
    seeds : int
    examples : str
        How many, or a dash where the number is not over examples.
    verdict, remark : str
    counted : bool
        Whether it decides its setting, or stands beside the one that does.
    """

    setting: str
    layer: str
    placebo: str
    estimate: str
    control: str
    seeds: int
    examples: str
    verdict: str
    counted: bool
    remark: str


@dataclass
class Claim:
    """A claim over all settings, as printed.

    Attributes
    ----------
    name, text, source, paper : str
        As in the table; see `disobey.analysis.claims.claim.Claim`.
    statistic, model, side, null, unit : str
        What decides, of which model, and where its interval has to lie.
    where : str
        The examples, unless they are all test examples.
    counts : dict of str to str
        The claim's row of the summary.
    findings : list of Finding
        One per setting.
    """

    name: str
    text: str
    source: str
    paper: str
    statistic: str
    model: str
    side: str
    null: str
    unit: str
    where: str
    counts: Cells
    findings: list[Finding] = field(default_factory=list)

    @property
    def controlled(self) -> bool:
        """Whether any setting has a control."""
        return any(finding.control for finding in self.findings)

    @property
    def layered(self) -> bool:
        """Whether it is about layers of a network."""
        return any(finding.layer for finding in self.findings)

    @property
    def placebos(self) -> bool:
        """Whether it was held against placebos."""
        return any(finding.placebo for finding in self.findings)

    @property
    def remarks(self) -> bool:
        """Whether there is a word to say of any finding."""
        return any(finding.remark for finding in self.findings)


def read_table(manifest: "Manifest") -> list[Cells]:
    """Return the rows of a verified table, every cell as text."""
    with open(manifest.file(), encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def claims(rows: Iterable[Cells], summary: Iterable[Cells]) -> list[Claim]:
    """Return the claims in the order of the table ``claims``, each with its settings and counts."""
    counts = {row["claim"]: row for row in summary}
    found: dict[str, Claim] = {}
    for row in rows:
        how = STATISTICS.get(row["statistic"], Statistic(row["statistic"], ""))
        claim = found.setdefault(row["claim"], _claim(row, how, counts[row["claim"]]))
        claim.findings.append(_finding(row, how.scale))
    return list(found.values())


def _finding(row: Cells, scale: float) -> Finding:
    value, low, high, null, control = (
        scale * parse(row[name]) for name in ("value", "low", "high", "null", "control")
    )
    return Finding(
        row["setting"],
        row["layer"] + (f", ranks {row['band']}" if row["band"] else ""),
        row["placebo"],
        interval(value, low, high, null),
        _control(row["control_name"], control) if row["control"] else "",
        int(row["seeds"]),
        f"{int(row['n']):,}" if row["n"] else "–",
        row["verdict"],
        row["counted"] == "True",
        _unbroken(row["remark"]),
    )


def _control(name: str, value: float) -> str:
    """Return the control, with its name where it is not the reference."""
    text = number(value)
    return text if name == REFERENCE else f"{text} ({name})"


def _claim(row: Cells, how: Statistic, counts: Cells) -> Claim:
    return Claim(
        name=row["claim"],
        text=_unbroken(row["text"]),
        source=row["source"],
        paper=row["paper"],
        side=row["side"],
        statistic=how.label,
        model=_printed(row["model"]),
        null=f"{how.scale * parse(row['null']):g}",
        unit=how.unit,
        where=_where(row["split"], row["subset"]),
        counts=counts,
    )


def _where(split: str, subset: str) -> str:
    if (split, subset) == ("test", "all"):
        return ""
    return f"{'' if subset == 'all' else subset + ' '}{split} examples"


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
            # A comparison may have no reference: an empty cell.
            texts = {_printed(m): _percent(of_models[m]) if m in of_models else "" for m in MODELS}
            found.append(Accuracies(setting, int(any_row["seeds"]), int(any_row["n"]), texts))
    return found


def _percent(row: Cells) -> str:
    value, low, high = (PERCENT * parse(row[name]) for name in ("value", "low", "high"))
    # A model's accuracy has no null, its gain over another has.
    return interval(value, low, high, 0.0 if row["model"] == EFFECT else math.nan)


def _printed(model: str) -> str:
    """Return a model's name with a true minus sign."""
    return model.replace(" - ", " − ")


def _unbroken(text: str) -> str:
    """Keep comparisons such as ``A > 1`` on one line; numbers get a true minus sign."""
    return re.sub(r"(?<![\w-])-(?=\d)", "−", re.sub(r" ([<>=]) ", rf"{NBSP}\1{NBSP}", text))
