"""What finished trainings of a study took, for the estimates of those like them."""

import functools
import json
from pathlib import Path

from disobey.provenance import canonical
from disobey.study.jobs import Plan


class Durations:
    """The measured durations of a plan's finished trainings on one kind of device.

    Parameters
    ----------
    plan : Plan
    device : str
        ``cpu`` or ``cuda``.
    """

    def __init__(self, plan: Plan, device: str) -> None:
        self._plan, self._device = plan, device
        self._found: dict[str, float | None] = {}

    def of(self, run: str) -> float | None:
        """Return the seconds of a finished training like ``run``; None where there is none.

        Alike are trainings that differ in their seeds and in the run of their teacher alone.
        """
        kind = kind_of(self._plan.jobs["train", run].spec)
        if kind not in self._found:
            seconds = map(self._seconds, self._alike[kind])
            self._found[kind] = next((found for found in seconds if found is not None), None)
        return self._found[kind]

    @functools.cached_property
    def _alike(self) -> dict[str, list[Path]]:
        """The manifests of the trainings of each kind, finished or not."""
        alike: dict[str, list[Path]] = {}
        for (stage, _), job in self._plan.jobs.items():
            if stage == "train":
                alike.setdefault(kind_of(job.spec), []).append(Path(job.manifest))
        return alike

    def _seconds(self, manifest: Path) -> float | None:
        try:
            record = json.loads(manifest.read_text(encoding="utf-8"))
            on_device = record["device"] == self._device
            return float(record["measured"]["training_seconds"]) if on_device else None
        except (OSError, ValueError, KeyError, TypeError):  # unfinished, or an older version's
            return None


def kind_of(spec: str) -> str:
    """Return a training's spec without what makes no difference to how long it takes."""
    kept = json.loads(spec)
    del kept["seeds"]
    kept.get("distill", {}).pop("teacher", None)
    return canonical(kept)
