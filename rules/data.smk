rule prepare:
    """A data source, and a checkpoint's tokenizer -> uint8 images or tokens, labels and ids."""
    input:
        JOBS.inputs("prepare"),
    output:
        store=layout.DATA,
        manifest=manifest_of(layout.DATA),
    log:
        log_of("prepare", "{data}"),
    group:
        JOBS.group("prepare")
    conda:
        "../envs/cpu.yaml"
    threads: 1
    resources:
        python=JOBS.python,
        files=JOBS.files,
        mem_mb=JOBS.memory("prepare"),
        runtime=JOBS.runtime("prepare"),
        turn=JOBS.turn,
    params:
        spec=JOBS.spec("prepare"),
        code=JOBS.code("prepare"),
    shell:
        "{resources.python:q} -m disobey prepare --spec {params.spec:q} --code {params.code:q}"
        " --inputs {input:q} --files {resources.files:q} --output {output.manifest:q} > {log:q} 2>&1"


rule labels:
    """Prepared data -> the same training labels with noise."""
    input:
        JOBS.inputs("labels"),
    output:
        store=layout.LABELS,
        manifest=manifest_of(layout.LABELS),
    log:
        log_of("labels", "{labels}"),
    group:
        JOBS.group("labels")
    conda:
        "../envs/cpu.yaml"
    threads: 1
    resources:
        python=JOBS.python,
        files=JOBS.files,
        mem_mb=JOBS.memory("labels"),
        runtime=JOBS.runtime("labels"),
        turn=JOBS.turn,
    params:
        spec=JOBS.spec("labels"),
        code=JOBS.code("labels"),
    shell:
        "{resources.python:q} -m disobey labels --spec {params.spec:q} --code {params.code:q}"
        " --inputs {input:q} --output {output.manifest:q} > {log:q} 2>&1"
