rule report:
    """Tables, figures and manifests -> one page that opens from disk."""
    input:
        JOBS.inputs("report"),
    output:
        page=layout.REPORT,
        manifest=manifest_of(layout.REPORT),
    log:
        "results/logs/report/{study}.log",
    localrule: True
    conda:
        "../envs/cpu.yaml"
    threads: 1
    resources:
        python=JOBS.python,
        captions=str(JOBS.captions),
        mem_mb=JOBS.memory("report"),
        runtime=JOBS.runtime("report"),
    params:
        spec=JOBS.spec("report"),
        code=JOBS.code("report"),
    shell:
        "{resources.python:q} -m disobey report --spec {params.spec:q} --code {params.code:q}"
        " --inputs {input:q} --output {output.manifest:q} --captions {resources.captions:q} > {log:q} 2>&1"
