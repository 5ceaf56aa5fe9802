"""Student-teacher deviations in distillation: data -> teacher -> logits -> student -> figures.

snakemake --cores all                                        the default study, config.yaml
snakemake --cores all --configfile workflow/studies/X.yaml   another study
"""

import os
import re
import sys

from snakemake.utils import min_version

min_version("9.19")

# A checkout contains the package; a workflow fetched by Snakemake needs an installed one.
HERE = workflow.current_basedir.get_path_or_uri(secret_free=True)
if os.path.isdir(os.path.join(HERE, "src", "disobey")):
    sys.path.insert(0, os.path.join(HERE, "src"))

from disobey.stores import layout
from disobey.stores.layout import key_in, log_of, manifest_of
from disobey.study.figures import FIGURES
from disobey.study.jobs import BY_STDIN
from disobey.workflow import default_study, open_workflow

# Snakemake would merge a --configfile into config.yaml, so load config.yaml only without one.
if not workflow.overwrite_configfiles:

    configfile: default_study(workflow)


JOBS = open_workflow(workflow, config)
WILDCARDS = re.findall(r"{(\w+)}", " ".join(layout.STORES.values()))


# On a cluster the jobs of a group take turns; groups do not wait for each other.
resource_scopes:
    turn="local",


report: "workflow/report/workflow.rst"


wildcard_constraints:
    **dict.fromkeys(WILDCARDS, "[^/]+"),


rule all:
    """Make every store, table and figure of the study, and the report."""
    input:
        JOBS.plan.manifests(),


include: "rules/stages.smk"
include: "rules/pages.smk"
