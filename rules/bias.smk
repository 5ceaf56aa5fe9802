rule basis:
    """Data, and a trained teacher where a layer reads activations -> eigendirections."""
    input:
        JOBS.inputs("basis"),
    output:
        store=layout.BASIS,
        manifest=manifest_of(layout.BASIS),
    log:
        log_of("basis", "{basis}"),
    group:
        JOBS.group("basis")
    conda:
        "../envs/cpu.yaml"
    threads: 2
    resources:
        python=JOBS.python,
        device=JOBS.study.device,
        mem_mb=JOBS.memory("basis"),
        runtime=JOBS.runtime("basis"),
        turn=JOBS.turn,
        gpu=JOBS.gpu,
        nodes=1,
    params:
        spec=JOBS.spec("basis"),
        code=JOBS.code("basis"),
    shell:
        "{resources.python:q} -m disobey basis --spec {params.spec:q} --code {params.code:q}"
        " --inputs {input:q} --output {output.manifest:q} --device {resources.device} --threads {threads}"
        " > {log:q} 2>&1"


rule bias:
    """Histories of a setting's student, reference and placebos -> their matched progress."""
    input:
        JOBS.inputs("bias"),
    output:
        store=layout.BIAS,
        manifest=manifest_of(layout.BIAS),
    log:
        log_of("bias", "{study}/{setting}"),
    group:
        JOBS.group("bias")
    conda:
        "../envs/cpu.yaml"
    threads: 1
    resources:
        python=JOBS.python,
        mem_mb=JOBS.memory("bias"),
        runtime=JOBS.runtime("bias"),
        turn=JOBS.turn,
    params:
        spec=JOBS.spec("bias"),
        code=JOBS.code("bias"),
    shell:
        "{resources.python:q} -m disobey bias --spec {params.spec:q} --code {params.code:q}"
        " --inputs {input:q} --output {output.manifest:q} > {log:q} 2>&1"
