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
    """Print the comparison and write it to a folder; return 2 if the files cannot be used."""
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
    """Return the parser of the command line."""
    made = argparse.ArgumentParser(
        prog="python -m disobey compare",
        description="Test the paper's claims on confidence with logits from any framework.",
        epilog="File formats: npz (arrays train and test, or logits; label, example_id), npy, "
        "parquet, and netCDF as written by this package. See docs/compare.md.",
    )
    made.add_argument("teacher", help="logits of the teacher, (example, class)")
    made.add_argument("student", help="logits of its student on the same examples")
    made.add_argument("--reference", help="logits of the student's model trained on labels alone")
    made.add_argument(
        "--replicate", nargs="+", action="extend", default=[], metavar="FILE",
        help="logits of teachers of other seeds; without them every estimate has selection bias",
    )  # fmt: skip
    made.add_argument(
        "--pair", nargs="+", action="append", default=[], metavar="FILE",
        help="teacher and student [and reference] of another seed; two or more pairs, the first "
        "one included, give intervals over seeds and verdicts",
    )  # fmt: skip
    made.add_argument("--labels", help="class numbers 0, 1, ..., if the models' files have none")
    made.add_argument(
        "--probabilities", action="store_true", help="the files contain probabilities, not logits"
    )
    made.add_argument(
        "--split", choices=("train", "test"),
        help="split of arrays whose names do not state it (default: test)",
    )  # fmt: skip
    made.add_argument(
        "--output", type=Path, default=Path(NAME), metavar="FOLDER",
        help=f"folder for table, page and figure (default: {NAME})",
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
