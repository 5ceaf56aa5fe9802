"""Run docs/notebook.ipynb and compare its outputs with the stored ones.

python docs/run_notebook.py            part of `make docs`: exits with 1 if the outputs differ
python docs/run_notebook.py --write    after a change of the notebook: stores the new outputs

The notebook is stored with its outputs, which git hosts show. Every build of the site runs it, so
that the outputs stay those of today's code. Words must be equal, numbers may differ a little
between processors, and drawings must exist.
"""

import re
import sys
from collections.abc import Sequence
from pathlib import Path

import nbformat

NOTEBOOK = Path(__file__).with_name("notebook.ipynb")
SECONDS = 600  # limit of one cell; on an idle machine all cells together take ten seconds
NUMBER = re.compile(r"[-−]?\d[\d,]*(?:\.\d+)?")
# Two numbers count as equal up to this difference plus this share of their size.
ABSOLUTE, RELATIVE = 0.02, 0.02
DASH = "−"  # the typographic minus


def main(arguments: Sequence[str]) -> int:
    """Run the notebook; return 1 if it fails or if its outputs differ from the stored ones."""
    from nbclient.exceptions import CellExecutionError

    kept = nbformat.read(NOTEBOOK, as_version=4)
    try:
        fresh = executed(kept)
    except CellExecutionError as error:
        print(f"{NOTEBOOK}: a cell failed\n{error}", file=sys.stderr)
        return 1
    if "--write" in arguments:
        nbformat.write(fresh, NOTEBOOK)
        return 0
    found = differences(kept, fresh)
    for line in found:
        print(f"{NOTEBOOK}: {line}", file=sys.stderr)
    if found:
        print(f"to accept this: python {Path(__file__).name} --write", file=sys.stderr)
    return int(bool(found))


def executed(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Return the notebook with new outputs, without metadata on time and machine."""
    from nbclient import NotebookClient

    fresh = nbformat.from_dict(notebook)
    client = NotebookClient(fresh, timeout=SECONDS, kernel_name="python3", record_timing=False)
    # otherwise the kernel warns about listeners on local sockets
    client.extra_arguments = ["--log-level=ERROR"]
    client.execute(cwd=str(NOTEBOOK.parent))
    fresh.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    return fresh


def differences(kept: nbformat.NotebookNode, fresh: nbformat.NotebookNode) -> list[str]:
    """Return a message for each code cell whose outputs differ between two notebooks."""
    cells = [cell for cell in kept.cells if cell.cell_type == "code"]
    anew = [cell for cell in fresh.cells if cell.cell_type == "code"]
    found = []
    for number, (one, other) in enumerate(zip(cells, anew, strict=True), 1):
        before, now = printed(one), printed(other)
        if not same(before, now):
            found.append(f"code cell {number} prints\n{now}\ninstead of\n{before}")
    return found


def printed(cell: nbformat.NotebookNode) -> str:
    """Return the outputs of a cell as text; a drawing is represented by its type."""
    texts = []
    for output in cell.outputs:
        data = output.get("data", {})
        texts += [output.get("text", ""), data.get("text/plain", "")]
        texts += [kind for kind in data if kind.startswith("image/")]
    return "\n".join(filter(None, texts))


def same(before: str, now: str) -> bool:
    """Return whether two texts have the same words, and numbers that nearly agree."""
    words = [re.sub(r"\s+", " ", NUMBER.sub("#", text)) for text in (before, now)]
    numbers = [[_value(match) for match in NUMBER.findall(text)] for text in (before, now)]
    return words[0] == words[1] and all(
        abs(a - b) <= ABSOLUTE + RELATIVE * abs(a) for a, b in zip(*numbers, strict=True)
    )


def _value(text: str) -> float:
    return float(text.replace(",", "").replace(DASH, "-"))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
