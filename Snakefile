"""Student-teacher deviations in distillation: data -> teacher -> logits -> student -> figures.

snakemake --cores all                                        the default study, config.yaml
snakemake --cores all --configfile workflow/studies/X.yaml   another study
"""

import os
import sys

sys.path.insert(0, os.path.join(workflow.basedir, "src"))

from disobey.stores import layout
from disobey.stores.layout import key_in, log_of, manifest_of
from disobey.study.figures import FIGURES
from disobey.study.jobs import BY_STDIN
from disobey.workflow import open_workflow

# Snakemake would merge a --configfile into config.yaml, so load config.yaml only without one.
if not workflow.overwrite_configfiles:

    configfile: "config.yaml"


JOBS = open_workflow(workflow)


# On a cluster the jobs of a group take turns; groups do not wait for each other.
resource_scopes:
    turn="local",


report: "workflow/report/workflow.rst"


wildcard_constraints:
    basis="[^/]+",
    block="[^/]+",
    compared="[^/]+",
    data="[^/]+",
    pretrained="[^/]+",
    labels="[^/]+",
    run="[^/]+",
    study="[^/]+",
    setting="[^/]+",
    table="[^/]+",
    figure="[^/]+",


rule all:
    """Make every store, table and figure of the study, and the report."""
    input:
        JOBS.plan.manifests(),


include: "rules/stages.smk"
include: "rules/pages.smk"
