rule views:
    """A trained teacher and its data -> logits of every training image on ten of its views."""
    input:
        JOBS.inputs("views"),
    output:
        store=layout.VIEWS,
        manifest=manifest_of(layout.VIEWS),
    log:
        log_of("views", "{run}/{block}"),
    group:
        JOBS.group("views")
    conda:
        "../envs/cpu.yaml"
    threads: JOBS.threads("views")
    resources:
        python=JOBS.python,
        device=JOBS.study.device,
        mem_mb=JOBS.memory("views"),
        runtime=JOBS.runtime("views"),
        turn=JOBS.turn,
        gpu=JOBS.gpu,
        nodes=1,
    params:
        spec=JOBS.spec("views"),
        code=JOBS.code("views"),
    shell:
        "{resources.python:q} -m disobey views --spec {params.spec:q} --code {params.code:q}"
        " --inputs {input:q} --output {output.manifest:q} --device {resources.device} --threads {threads}"
        " > {log:q} 2>&1"
