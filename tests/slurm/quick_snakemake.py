"""Snakemake that asks SLURM every second; the plugin waits ten seconds longer each idle round."""

import asyncio

from snakemake.cli import main
from snakemake_executor_plugin_slurm import Executor


async def one_second(self):
    await asyncio.sleep(1)


if __name__ == "__main__":
    Executor.sleep = one_second
    main()
