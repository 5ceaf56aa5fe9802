"""Run docs/notebook.ipynb anew and compare what it prints with what it holds.

python docs/run_notebook.py            part of `make docs`: 1 where it prints something else
python docs/run_notebook.py --write    after a change of the notebook: keep what it prints and draws

The notebook is kept with its outputs, since a git host shows it as it is, and run by every build of
the site, since outputs that nobody makes again are soon those of another program. Numbers may
differ a little from one processor to the next, words may not; of a drawing only that it is there.
"""

import re
import sys
from collections.abc import Sequence
from pathlib import Path

import nbformat

NOTEBOOK = Path(__file__).with_name("notebook.ipynb")
SECONDS = 600  # for one cell; all of them take ten on a machine that does nothing else
NUMBER = re.compile(r"[-−]?\d[\d,]*(?:\.\d+)?")
# Two numbers are the same if they differ by no more than this, and this share of them.
ABSOLUTE, RELATIVE = 0.02, 0.02
DASH = "−"  # a minus, as people print it


def main(arguments: Sequence[str]) -> int:
    """Run the notebook; 1 where it fails or prints what it does not hold."""
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
        print(f"if that is right: python {Path(__file__).name} --write", file=sys.stderr)
    return int(bool(found))


def executed(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Return the notebook with new outputs, and with nothing of when and where it was run."""
    from nbclient import NotebookClient

    fresh = nbformat.from_dict(notebook)
    client = NotebookClient(fresh, timeout=SECONDS, kernel_name="python3", record_timing=False)
    # else the kernel warns of whoever listens to this machine's own sockets
    client.extra_arguments = ["--log-level=ERROR"]
    client.execute(cwd=str(NOTEBOOK.parent))
    fresh.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    return fresh


def differences(kept: nbformat.NotebookNode, fresh: nbformat.NotebookNode) -> list[str]:
    """Return in words where two notebooks of the same cells print something else."""
    cells = [cell for cell in kept.cells if cell.cell_type == "code"]
    anew = [cell for cell in fresh.cells if cell.cell_type == "code"]
    found = []
    for number, (one, other) in enumerate(zip(cells, anew, strict=True), 1):
        before, now = printed(one), printed(other)
        if not same(before, now):
            found.append(f"code cell {number} prints\n{now}\nand holds\n{before}")
    return found


def printed(cell: nbformat.NotebookNode) -> str:
    """Return what a cell prints, as text; of a drawing its kind."""
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
