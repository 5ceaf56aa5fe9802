rule train:
    """Data, and a student's teacher's logits -> weights and history of one model."""
    input:
        JOBS.inputs("train"),
    output:
        weights=f"{layout.RUN}/{layout.WEIGHTS}",
        history=f"{layout.RUN}/{layout.HISTORY}",
        manifest=manifest_of(layout.RUN),
    log:
        log_of("train", "{run}"),
    group:
        JOBS.group("train")
    conda:
        "../envs/cpu.yaml"
    # One thread a process computes: models this small gain little from a second one, and two jobs
    # gain all. Images that stay encoded are decoded by eight.
    threads: JOBS.threads("train")
    resources:
        python=JOBS.python,
        device=JOBS.study.device,
        mem_mb=JOBS.memory("train"),
        runtime=JOBS.runtime("train"),
        turn=JOBS.turn,
        launcher=JOBS.launcher,
        gpu=JOBS.gpus_of_training,
        nodes=1,
        # A minute before its time limit SLURM tells training to save its state and end.
        slurm_extra="--signal=USR1@60",
    params:
        spec=JOBS.spec("train"),
        code=JOBS.code("train"),
    shell:
        "{resources.python:q} {resources.launcher} -m disobey train --spec {params.spec:q} --code {params.code:q}"
        " --inputs {input:q} --output {output.manifest:q} --device {resources.device} --threads {threads}"
        " > {log:q} 2>&1"
