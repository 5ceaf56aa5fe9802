"""(d): total cost of S students of one teacher, against the plain loop.

    python -m benchmarks.study [rounds]

Ours trains the teacher once, stores its logits on the views that students are shown, and trains
the students from them; the plain loop trains the teacher and runs it live in every step of every
student. All trainings have equally many epochs. Each round times the teacher, the views and one
student of either kind; S students cost S times as much as one.
"""

import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import torch

from benchmarks.common import in_turn, median_of, median_ratio, report, seconds
from benchmarks.networks import AUGMENT, CPU, SLABS, OurLoop, images, resnet, write_views
from benchmarks.plain import Pictures, PlainLoop
from benchmarks.training import PAIRS
from disobey.training.inputs import AugmentedImages

EXAMPLES = 64 * 16
STUDENTS = (1, 2, 5, 10)


class Study:
    """The parts of a study of one teacher, which are timed separately.

    Parameters
    ----------
    teacher, student : int
        Depths of the networks.
    folder : Path
        The folder of the stored views.
    """

    def __init__(self, teacher: int, student: int, folder: Path) -> None:
        self.data = images(EXAMPLES)
        self.teacher, self.student, self.views = teacher, student, folder / "0.nc"
        self.pictures = Pictures(self.data.train.inputs, self.data.train.label)
        self.stored()  # so that each part can be timed separately

    def ours(self, depth: int, *, distilled: bool, precision: str = "bf16") -> None:
        """Train a teacher, or a student from stored views."""
        teacher = self.views if distilled else None
        OurLoop(resnet(depth, self.data), self.data, precision, teacher).run()

    def stored(self) -> None:
        """Store the logits of all slabs."""
        inputs = AugmentedImages(self.data.train, self.data, CPU, None, AUGMENT, draw=0)
        write_views(self.views, inputs, resnet(self.teacher, self.data).eval())

    def plain(self, depth: int, *, distilled: bool) -> None:
        """Train a teacher, or a student of a live teacher, with the plain loop."""
        live = resnet(self.teacher, self.data, plain=True) if distilled else None
        loop = PlainLoop(resnet(depth, self.data, plain=True), live, self.pictures)
        for _ in range(SLABS):
            loop.epoch()

    def parts(self) -> Mapping[str, Callable[[], float]]:
        """Return a function per part that measures its seconds."""
        return {
            "our teacher": lambda: seconds(lambda: self.ours(self.teacher, distilled=False)),
            "views": lambda: seconds(self.stored),
            "our student": lambda: seconds(lambda: self.ours(self.student, distilled=True)),
            "plain teacher": lambda: seconds(lambda: self.plain(self.teacher, distilled=False)),
            "plain student": lambda: seconds(lambda: self.plain(self.student, distilled=True)),
        }


def totals(part: Mapping[str, float], students: int) -> dict[str, float]:
    """Return the seconds of a whole study, from the parts of one round."""
    ours = part["our teacher"] + part["views"] + students * part["our student"]
    return {"ours": ours, "plain": part["plain teacher"] + students * part["plain student"]}


def main(rounds: int) -> None:
    """Print one table: a row per pair of networks and number of students."""
    rows, record = [], {}
    for case, (teacher, student) in PAIRS.items():
        with tempfile.TemporaryDirectory() as folder:
            measured = in_turn(Study(teacher, student, Path(folder)).parts(), rounds)
        record[case] = measured
        for students in STUDENTS:
            whole = [totals(part, students) for part in measured]
            rows.append(
                {
                    "case": case,
                    "students": students,
                    "plain s": median_of(whole, "plain"),
                    "ours s": median_of(whole, "ours"),
                    "times cheaper": median_ratio(whole, "plain", "ours"),
                }
            )
    title = f"A study of one teacher, {EXAMPLES:,} images, {SLABS} epochs, bf16 and stored views"
    title += f", {torch.get_num_threads()} threads, median of {rounds} rounds"
    report("study", title, rows, measured=record)


if __name__ == "__main__":
    main(int(sys.argv[1]) if sys.argv[1:] else 3)
