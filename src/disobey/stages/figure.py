"""Draw one figure from the analyses of its settings, as PDF and PNG."""

from disobey.analysis.store import read_analyses
from disobey.figures import drawer
from disobey.figures.style import save
from disobey.job import Job
from disobey.stores.layout import FIGURE_FORMATS


def run(job: "Job") -> None:
    """Draw the figure; no statistic is computed here."""
    analyses = read_analyses(job.inputs, job.spec["settings"], job.spec.get("paper"))
    figure = drawer(job.spec["figure"])(analyses)
    pdf, png = (job.store.with_name(job.store.name + suffix) for suffix in FIGURE_FORMATS)
    with job.write(pdf) as temporary_pdf, job.write(png) as temporary_png:
        save(figure, temporary_pdf, temporary_png)
