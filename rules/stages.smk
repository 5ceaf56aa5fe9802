# One rule for each stage that writes a store. These tables define the differences between the rules.
STORES = {
    stage: store for stage, store in layout.STORES.items() if stage not in BY_STDIN
}
FOLDERS = {
    "pretrained": dict(
        config=f"{layout.PRETRAINED}/{layout.CONFIG}",
        weights=f"{layout.PRETRAINED}/{layout.WEIGHTS}",
        tokenizer=f"{layout.PRETRAINED}/{layout.TOKENIZER}",
        tokens=f"{layout.PRETRAINED}/{layout.TOKENS}",
    ),
    "train": dict(
        weights=f"{layout.RUN}/{layout.WEIGHTS}",
        history=f"{layout.RUN}/{layout.HISTORY}",
    ),
}
# Models compute on one thread: two cores help two jobs more than they help one small model. Images that
# are stored encoded are decoded by several threads.
THREADS = {stage: JOBS.threads(stage) for stage in ("train", "dump", "views")} | {
    "basis": 2
}
RESOURCES = {
    stage: dict(device=JOBS.study.device, gpu=JOBS.gpus(stage), nodes=1)
    for stage in ("train", "dump", "views", "classify", "basis")
}
RESOURCES["train"] |= dict(
    launcher=JOBS.launcher,
    # A minute before its time limit, SLURM tells a training to save its state and end.
    slurm_extra="--signal=USR1@60",
)
# The jobs of a group must agree on all string-valued resources, whether they use them or not.
RESOURCES["dump"] |= dict(
    launcher=JOBS.launcher, slurm_extra=RESOURCES["train"]["slurm_extra"]
)
# Paths are resources instead of params, so that moving a folder makes nothing stale.
RESOURCES |= {
    "pretrained": dict(source=JOBS.source),
    "classify": RESOURCES["classify"] | dict(source=JOBS.source),
    "prepare": dict(files=JOBS.files),
    "labels": dict(files=JOBS.files),
    "compared": dict(files=JOBS.files),
}
# The parts of each shell command.
RUN = "{resources.python:q} -m disobey"
RUN_SEVERAL = "{resources.python:q} {resources.launcher} -m disobey"
IN, TO = "--inputs {input:q}", "--output {output.manifest:q}"
WITH_FILES, FROM = "--files {resources.files:q}", "--source {resources.source:q}"
ON = "--device {resources.device} --threads {threads} --places {resources.gpu}"
WORDS = {
    "pretrained": (TO, FROM),
    "prepare": (IN, WITH_FILES, TO),
    "compared": (IN, WITH_FILES, TO),
    "classify": (IN, TO, FROM, ON),
} | dict.fromkeys(("train", "dump", "views", "basis"), (IN, TO, ON))

LINES = {
    stage: " ".join(
        [
            RUN_SEVERAL if stage == "train" else RUN,
            stage,
            "--spec {params.spec:q} --code {params.code:q}",
            *WORDS.get(stage, (IN, TO)),
            "> {log:q} 2>&1",
        ]
    )
    for stage in STORES
}

for stage, store in STORES.items():

    rule:
        """Make one store (see `python -m disobey --help`)."""
        name:
            stage
        input:
            JOBS.inputs(stage),
        output:
            **FOLDERS.get(stage, dict(store=store)),
            manifest=manifest_of(store),
        log:
            log_of(stage, key_in(store)),
        group:
            JOBS.group(stage)
        # Cluster nodes often lack the network access that `pretrained` needs.
        localrule: stage == "pretrained"
        conda:
            "../envs/cpu.yaml"
        threads: THREADS.get(stage, 1)
        resources:
            **RESOURCES.get(stage, {}),
            python=JOBS.python,
            mem_mb=JOBS.memory(stage),
            runtime=JOBS.runtime(stage),
            turn=JOBS.turn,
        params:
            spec=JOBS.spec(stage),
            code=JOBS.code(stage),
        shell:
            # Snakemake evaluates this again when the job runs, in a function that knows the rule.
            LINES[locals().get("rule", stage)]
