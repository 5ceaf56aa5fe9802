"""Run benchmarks one after the other: ``python -m benchmarks [name ...]``; all by default."""

import subprocess
import sys

# From fast to slow; each runs in its own process, as if called by hand.
ALL = ("startup", "step", "peak", "dump", "tracking", "analysis", "dag", "training", "study")

if __name__ == "__main__":
    names = sys.argv[1:] or ALL
    unknown = sorted(set(names) - set(ALL) - {"precision", "gpu"})
    if unknown:
        sys.exit(f"unknown benchmark {unknown[0]}; known: {', '.join(ALL)}, precision, gpu")
    codes = [subprocess.call([sys.executable, "-m", f"benchmarks.{name}"]) for name in names]
    sys.exit(max(codes))
