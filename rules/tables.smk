rule table:
    """Analyses of all settings -> one table."""
    input:
        JOBS.inputs("table"),
    output:
        table=report(
            layout.TABLE,
            category="Tables",
            labels={"table": "{table}"},
        ),
        manifest=manifest_of(layout.TABLE),
    log:
        log_of("table", "{study}/{table}"),
    localrule: True
    conda:
        "../envs/cpu.yaml"
    threads: 1
    resources:
        python=JOBS.python,
        mem_mb=JOBS.memory("table"),
        runtime=JOBS.runtime("table"),
    params:
        spec=JOBS.spec("table"),
        code=JOBS.code("table"),
    shell:
        "printf '%s\\n' {params.spec:q} {input:q} | {resources.python:q} -m disobey table"
        " --from-stdin --code {params.code:q} --output {output.manifest:q} > {log:q} 2>&1"
