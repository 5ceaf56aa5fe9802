"""Snakemake on a machine that shows GPUs as far as planning can tell; torch finds none there."""

from snakemake.cli import main

from disobey import workflow

if __name__ == "__main__":
    workflow._sees_gpu = lambda: True
    main()
