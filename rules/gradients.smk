rule gradients:
    """True directions, targets and weights -> signs of gradients, cosines with the truth."""
    input:
        JOBS.inputs("gradients"),
    output:
        store=layout.GRADIENTS,
        manifest=manifest_of(layout.GRADIENTS),
    log:
        log_of("gradients", "{study}/{setting}"),
    group:
        JOBS.group("gradients")
    conda:
        "../envs/cpu.yaml"
    threads: 1
    resources:
        python=JOBS.python,
        mem_mb=JOBS.memory("gradients"),
        runtime=JOBS.runtime("gradients"),
        turn=JOBS.turn,
    params:
        spec=JOBS.spec("gradients"),
        code=JOBS.code("gradients"),
    shell:
        "{resources.python:q} -m disobey gradients --spec {params.spec:q} --code {params.code:q}"
        " --inputs {input:q} --output {output.manifest:q} > {log:q} 2>&1"
