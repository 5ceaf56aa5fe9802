rule dump:
    """A trained model and its data -> logits of every training and test example."""
    input:
        JOBS.inputs("dump"),
    output:
        store=layout.LOGITS,
        manifest=manifest_of(layout.LOGITS),
    log:
        log_of("dump", "{run}"),
    group:
        JOBS.group("dump")
    conda:
        "../envs/cpu.yaml"
    threads: JOBS.threads("dump")
    resources:
        python=JOBS.python,
        device=JOBS.study.device,
        mem_mb=JOBS.memory("dump"),
        runtime=JOBS.runtime("dump"),
        turn=JOBS.turn,
        gpu=JOBS.gpu,
        nodes=1,
        # Of no use here: words that the jobs of a group must have in common.
        launcher=JOBS.launcher,
        slurm_extra="--signal=USR1@60",
    params:
        spec=JOBS.spec("dump"),
        code=JOBS.code("dump"),
    shell:
        "{resources.python:q} -m disobey dump --spec {params.spec:q} --code {params.code:q}"
        " --inputs {input:q} --output {output.manifest:q} --device {resources.device} --threads {threads}"
        " > {log:q} 2>&1"
