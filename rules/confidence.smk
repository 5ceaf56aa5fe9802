rule confidence:
    """Logits of a setting's teachers, references and students -> all statistics of confidence."""
    input:
        JOBS.inputs("confidence"),
    output:
        store=layout.ANALYSIS,
        manifest=manifest_of(layout.ANALYSIS),
    log:
        log_of("confidence", "{study}/{setting}"),
    group:
        JOBS.group("confidence")
    conda:
        "../envs/cpu.yaml"
    threads: 1
    resources:
        python=JOBS.python,
        mem_mb=JOBS.memory("confidence"),
        runtime=JOBS.runtime("confidence"),
        turn=JOBS.turn,
    params:
        spec=JOBS.spec("confidence"),
        code=JOBS.code("confidence"),
    shell:
        "{resources.python:q} -m disobey confidence --spec {params.spec:q} --code {params.code:q}"
        " --inputs {input:q} --output {output.manifest:q} > {log:q} 2>&1"
