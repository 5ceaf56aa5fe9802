"""``python -m disobey compare``: verdicts on a teacher and a student that any code made."""

import argparse
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from disobey.comparison.comparing import compare_models
from disobey.comparison.result import WIDTH, Comparison, markdown_page, text
from disobey.errors import UserError
from disobey.numbers import FLOAT_FORMAT
from disobey.stores.writer import atomic

NAME, FIGURE, EXPLORER = "comparison", "confidence", "explorer.html"


def main(arguments: Sequence[str]) -> int:
    """Print the comparison and write it to a folder; 2 where the files cannot be used."""
    options = parser().parse_args(arguments)
    first = [options.teacher, options.student, *([options.reference] if options.reference else [])]
    try:
        if options.output.is_file():
            raise UserError(f"--output {options.output}: is a file; name a folder")
        found = compare_models(
            [first, *options.pair],
            options.replicate,
            options.labels,
            options.probabilities,
            options.split,
        )
        written = write(found, options.output)
    except (UserError, OSError) as error:
        print(f"disobey compare: {error}", file=sys.stderr)
        return 2
    print(text(found, shutil.get_terminal_size((WIDTH, 0)).columns))
    print(f"\nwritten: {', '.join(map(str, written))}")
    return 0


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    made = argparse.ArgumentParser(
        prog="python -m disobey compare",
        description="Test the paper's claims on confidence with logits from any code.",
        epilog="Files: npz (arrays train and test, or logits; label, example_id), npy, parquet, "
        "and the netCDF of this package. docs/compare.md says more.",
    )
    made.add_argument("teacher", help="logits of the teacher, (example, class)")
    made.add_argument("student", help="logits of its student, over the same examples")
    made.add_argument("--reference", help="the student's architecture, trained on labels alone")
    made.add_argument(
        "--replicate", nargs="+", action="extend", default=[], metavar="FILE",
        help="teachers of other seeds; without one no estimate is free of selection",
    )  # fmt: skip
    made.add_argument(
        "--pair", nargs="+", action="append", default=[], metavar="FILE",
        help="teacher and student [and reference] of another seed; with two pairs or more there "
        "are intervals over seeds, and verdicts",
    )  # fmt: skip
    made.add_argument("--labels", help="classes 0, 1, ..., where the models' files hold none")
    made.add_argument(
        "--probabilities", action="store_true", help="the files hold probabilities, not logits"
    )
    made.add_argument(
        "--split", choices=("train", "test"),
        help="the split of arrays whose names do not tell it (default: test)",
    )  # fmt: skip
    made.add_argument(
        "--output", type=Path, default=Path(NAME), metavar="FOLDER",
        help=f"where table, page and figure go (default: {NAME})",
    )  # fmt: skip
    return made


def write(found: Comparison, folder: Path) -> list[Path]:
    """Write comparison.md, comparison.csv, the figure and the page; return their paths."""
    from disobey.explorer.study import page_of
    from disobey.figures.style import save

    page, table = (folder / f"{NAME}{suffix}" for suffix in (".md", ".csv"))
    pdf, png = (folder / f"{FIGURE}{suffix}" for suffix in (".pdf", ".png"))
    with atomic(page) as temporary:
        temporary.write_text("\n".join(markdown_page(found)) + "\n", encoding="utf-8")
    with atomic(table) as temporary:
        found.frame().to_csv(temporary, index=False, float_format=FLOAT_FORMAT)
    with atomic(pdf) as temporary_pdf, atomic(png) as temporary_png:
        save(found.figure(), temporary_pdf, temporary_png)
    with atomic(folder / EXPLORER) as temporary:
        temporary.write_text(page_of(found, beside=page.name), encoding="utf-8")
    return [page, table, pdf, png, folder / EXPLORER]
