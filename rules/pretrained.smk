rule pretrained:
    """A public checkpoint -> its weights, configuration and tokenizer."""
    output:
        config=f"{layout.PRETRAINED}/{layout.CONFIG}",
        weights=f"{layout.PRETRAINED}/{layout.WEIGHTS}",
        tokenizer=f"{layout.PRETRAINED}/{layout.TOKENIZER}",
        tokens=f"{layout.PRETRAINED}/{layout.TOKENS}",
        manifest=manifest_of(layout.PRETRAINED),
    log:
        log_of("pretrained", "{pretrained}"),
    # The one job that needs a network: a cluster's nodes often have none.
    localrule: True
    conda:
        "../envs/cpu.yaml"
    threads: 1
    resources:
        python=JOBS.python,
        # No part of the params: a folder that has moved makes nothing stale.
        source=JOBS.source,
        mem_mb=JOBS.memory("pretrained"),
        runtime=JOBS.runtime("pretrained"),
    params:
        spec=JOBS.spec("pretrained"),
        code=JOBS.code("pretrained"),
    shell:
        "{resources.python:q} -m disobey pretrained --spec {params.spec:q} --code {params.code:q}"
        " --output {output.manifest:q} --source {resources.source:q} > {log:q} 2>&1"
