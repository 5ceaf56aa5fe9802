"""Run Snakemake as if the machine had GPUs: planning sees them, but torch finds none."""

from snakemake.cli import main

from disobey import workflow

if __name__ == "__main__":
    workflow._sees_gpu = lambda: True
    main()
