rule curves:
    """Histories of a setting's models -> accuracies along training, students at equal fit."""
    input:
        JOBS.inputs("curves"),
    output:
        store=layout.CURVES,
        manifest=manifest_of(layout.CURVES),
    log:
        log_of("curves", "{study}/{setting}"),
    group:
        JOBS.group("curves")
    conda:
        "../envs/cpu.yaml"
    threads: 1
    resources:
        python=JOBS.python,
        mem_mb=JOBS.memory("curves"),
        runtime=JOBS.runtime("curves"),
        turn=JOBS.turn,
    params:
        spec=JOBS.spec("curves"),
        code=JOBS.code("curves"),
    shell:
        "{resources.python:q} -m disobey curves --spec {params.spec:q} --code {params.code:q}"
        " --inputs {input:q} --output {output.manifest:q} > {log:q} 2>&1"
