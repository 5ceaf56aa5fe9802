rule explorer:
    """Analyses, logits and data of all settings -> one page that shows every example."""
    input:
        JOBS.inputs("explorer"),
    output:
        page=layout.EXPLORER,
        manifest=manifest_of(layout.EXPLORER),
    log:
        log_of("explorer", "{study}"),
    conda:
        "../envs/cpu.yaml"
    threads: 1
    resources:
        python=JOBS.python,
        mem_mb=JOBS.memory("explorer"),
        runtime=JOBS.runtime("explorer"),
    params:
        spec=JOBS.spec("explorer"),
        code=JOBS.code("explorer"),
    shell:
        "printf '%s\\n' {params.spec:q} {input:q} | {resources.python:q} -m disobey explorer"
        " --from-stdin --code {params.code:q} --output {output.manifest:q} > {log:q} 2>&1"
