# docker build -t disobey . && docker run --rm -v "$PWD/results:/disobey/results" disobey
# Apptainer: docker save disobey -o disobey.tar && apptainer build disobey.sif docker-archive://disobey.tar
FROM python:3.12-slim

WORKDIR /disobey
RUN apt-get update \
 && apt-get install -y --no-install-recommends git make \
 && rm -rf /var/lib/apt/lists/*

# Of an index with CPU builds of torch, where there is one: --build-arg TORCH_INDEX=<its address>
ARG TORCH_INDEX=""
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY src src
RUN if [ -n "$TORCH_INDEX" ]; then \
      pip install --no-cache-dir -c constraints.txt --index-url "$TORCH_INDEX" torch; \
    fi \
 && pip install --no-cache-dir -c constraints.txt -e '.[all]'

COPY Snakefile config.yaml ./
COPY rules rules
COPY envs envs
COPY workflow workflow
COPY profiles profiles

ENTRYPOINT ["snakemake"]
CMD ["--cores", "all"]
