rule report:
    """Tables, figures and manifests -> one page that opens from disk."""
    input:
        JOBS.inputs("report"),
    output:
        page=layout.REPORT,
        manifest=manifest_of(layout.REPORT),
    log:
        log_of("report", "{study}"),
    localrule: True
    conda:
        "../envs/cpu.yaml"
    threads: 1
    resources:
        python=JOBS.python,
        # No part of the params: a folder or a study file that has moved makes nothing stale.
        captions=str(JOBS.captions),
        study_file=str(JOBS.study_file),
        mem_mb=JOBS.memory("report"),
        runtime=JOBS.runtime("report"),
    params:
        spec=JOBS.spec("report"),
        code=JOBS.code("report"),
    shell:
        "printf '%s\\n' {params.spec:q} {input:q} | {resources.python:q} -m disobey report"
        " --from-stdin --code {params.code:q} --output {output.manifest:q} --captions {resources.captions:q}"
        " --study-file {resources.study_file:q} > {log:q} 2>&1"
