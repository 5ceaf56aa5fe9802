"""Write the page that shows every example: models, labels, pictures or texts."""

import sys

from disobey.explorer.page import render
from disobey.explorer.study import content
from disobey.job import Job


def run(job: "Job") -> None:
    """Read logits and data of all settings; write one page that opens from disk."""
    html = render(*content(job))
    print(f"{len(html.encode()) / 1e6:.1f} MB", file=sys.stderr)
    with job.write(job.store) as path:
        path.write_text(html, encoding="utf-8")
