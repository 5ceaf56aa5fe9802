rule compared:
    """Files of logits, from any framework, and what says which examples they are over -> one store."""
    input:
        JOBS.inputs("compared"),
    output:
        store=layout.COMPARED,
        manifest=manifest_of(layout.COMPARED),
    log:
        log_of("compared", "{compared}"),
    conda:
        "../envs/cpu.yaml"
    threads: 1
    resources:
        python=JOBS.python,
        files=JOBS.files,
        mem_mb=JOBS.memory("compared"),
        runtime=JOBS.runtime("compared"),
    params:
        spec=JOBS.spec("compared"),
        code=JOBS.code("compared"),
    shell:
        "{resources.python:q} -m disobey compared --spec {params.spec:q} --code {params.code:q}"
        " --inputs {input:q} --files {resources.files:q} --output {output.manifest:q} > {log:q} 2>&1"


rule classify:
    """A trained classifier of the hub, or of a folder, and data -> its logits of every example."""
    input:
        JOBS.inputs("classify"),
    output:
        store=layout.CLASSIFIED,
        manifest=manifest_of(layout.CLASSIFIED),
    log:
        log_of("classify", "{run}"),
    conda:
        "../envs/cpu.yaml"
    threads: 1
    resources:
        python=JOBS.python,
        device=JOBS.study.device,
        # No part of the params: a folder that has moved makes nothing stale.
        source=JOBS.source,
        mem_mb=JOBS.memory("classify"),
        runtime=JOBS.runtime("classify"),
        gpu=JOBS.gpus("classify"),
        nodes=1,
    params:
        spec=JOBS.spec("classify"),
        code=JOBS.code("classify"),
    shell:
        "{resources.python:q} -m disobey classify --spec {params.spec:q} --code {params.code:q}"
        " --inputs {input:q} --output {output.manifest:q} --source {resources.source:q}"
        " --device {resources.device} --threads {threads} --places {resources.gpu} > {log:q} 2>&1"
