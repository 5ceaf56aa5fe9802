# Tables, figures and pages of a whole study. The number of inputs grows with the study, so the command
# reads them from standard input. A caption belongs to a rule, so each kind of figure has its own rule.
MADE = {
    "table": dict(
        table=report(layout.TABLE, category="Tables", labels={"table": "{table}"})
    ),
    "explorer": dict(
        page=report(
            layout.EXPLORER,
            caption="../workflow/report/explorer.rst",
            category="Explorer",
            labels={"page": "every example"},
        )
    ),
    "report": dict(page=layout.REPORT),
} | {
    f"figure_{kind}".replace("-", "_"): dict(
        pdf=f"{layout.FIGURE}.pdf",
        png=report(
            f"{layout.FIGURE}.png",
            caption=f"../src/disobey/figures/captions/{kind}.rst",
            category="Figures",
            labels=JOBS.labels,
        ),
    )
    for kind in FIGURES
}
KINDS = {f"figure_{kind}".replace("-", "_"): f"{kind}(-.+)?" for kind in FIGURES}
# Paths are resources instead of params, so that moving a folder makes nothing stale.
OF_REPORT = dict(study_file=str(JOBS.study_file))
WORDS_OF_REPORT = ("--study-file {resources.study_file:q}",)

LINES_OF_PAGES = {
    name: " ".join(
        [
            "printf '%s\\n' {params.spec:q} {input:q} | {resources.python:q} -m disobey",
            "figure" if name in KINDS else name,
            "--from-stdin --code {params.code:q} --output {output.manifest:q}",
            *(WORDS_OF_REPORT if name == "report" else ()),
            "> {log:q} 2>&1",
        ]
    )
    for name in MADE
}

for name, made in MADE.items():
    stage = "figure" if name in KINDS else name

    rule:
        """Make one table, figure or page (see `python -m disobey --help`)."""
        name:
            name
        input:
            JOBS.inputs(stage),
        output:
            **made,
            manifest=manifest_of(layout.STORES[stage]),
        log:
            log_of(stage, key_in(layout.STORES[stage])),
        wildcard_constraints:
            **({"figure": KINDS[name]} if name in KINDS else {}),
        localrule: stage != "explorer"
        conda:
            "../envs/cpu.yaml"
        threads: 1
        resources:
            **(OF_REPORT if stage == "report" else {}),
            python=JOBS.python,
            mem_mb=JOBS.memory(stage),
            runtime=JOBS.runtime(stage),
        params:
            page=name,
            spec=JOBS.spec(stage),
            code=JOBS.code(stage),
        shell:
            # Snakemake evaluates this again when the job runs, in a function that knows its params.
            LINES_OF_PAGES[params.page if "rule" in locals() else name]
