# A caption belongs to a rule's output, so each kind of figure is a rule of its own.
for kind in FIGURES:

    rule:
        name:
            f"figure_{kind}".replace("-", "_")
        input:
            JOBS.inputs("figure"),
        output:
            pdf=f"{layout.FIGURE}.pdf",
            png=report(
                f"{layout.FIGURE}.png",
                caption=f"../workflow/report/{kind}.rst",
                category="Figures",
                labels={"figure": "{figure}"},
            ),
            manifest=manifest_of(layout.FIGURE),
        log:
            log_of("figure", "{study}/{figure}"),
        wildcard_constraints:
            figure=f"{kind}(-.+)?",
        localrule: True
        conda:
            "../envs/cpu.yaml"
        threads: 1
        resources:
            python=JOBS.python,
            mem_mb=JOBS.memory("figure"),
            runtime=JOBS.runtime("figure"),
        params:
            spec=JOBS.spec("figure"),
            code=JOBS.code("figure"),
        shell:
            "printf '%s\\n' {params.spec:q} {input:q} | {resources.python:q} -m disobey figure"
            " --from-stdin --code {params.code:q} --output {output.manifest:q} > {log:q} 2>&1"
