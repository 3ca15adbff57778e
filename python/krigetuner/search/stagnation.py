"""What a search does beside following its model: when nothing gets better, and while results are on their way."""

from __future__ import annotations

from dataclasses import dataclass

from krigetuner.backend.protocol import Array

PATIENCE, GAIN = 6, 0.05
"""Nothing gets better when the last PATIENCE trials together gained at most GAIN on the best loss before them, in
standard deviations of the transformed losses: a gain in the sixth digit is none."""
SHRINK = 0.4
"""Lengthscales of the model that believes less of what it has not seen, in those that were fitted (after Berkenkamp,
Schoellig and Krause 2019, who shrink them as trials go on)."""
INSIDE = 7
"""Trials after which the belief that the best is not at the edges (gp/interior.py) is as strong as when nothing gets
better."""
SETTLED = 20
"""Trials from which on categories may have been given up too early."""
PRECISE, QUIET = 5e-5, 0.03
"""Learned noise variances below which losses tell the digits of numbers, and tell what is near the best one."""
DESCENT = 10
"""A descent goes on while one of so many trials was the best so far, in any digit."""


@dataclass(frozen=True)
class Step:
    """How the next suggestion is made; as the model says, where nothing is true.

    Attributes:
        parabola: where a parabola near the best row is lowest, if the losses lie on one.
        eager: whether the parabola is the surer one of two, and believed sooner.
        shrunk: from a model of shorter lengthscales.
        elsewhere: among the rows whose categories are not all those of the best row.
        bold: for an improvement of more than GAIN.
        nearby: from a model of the trials near the best one, if that expects a gain that counts.
        keen: any gain counts for that model.
        inside: away from edges of ranges, as at the start.
    """

    parabola: bool = False
    eager: bool = False
    shrunk: bool = False
    elsewhere: bool = False
    bold: bool = False
    nearby: bool = False
    keen: bool = False
    inside: bool = False


def next_step(number: int, losses: Array, unit: float, running: int, categories: bool, noise: float) -> Step:
    """The step of a trial.

    While nothing gets better every second one comes from shorter lengthscales, and every second of these is a
    parabola's lowest point instead. What a model asks for then keeps away from the edges at which the best row is not,
    where nothing is certain: it would be corner after corner. Where categories may have been given up too early, the
    others of these look for other ones, and those between ask for a gain that counts: the best row's last digits are
    not worth a training then. While other trials run every second one comes from shorter lengthscales too, so that
    wrong hyperparameters do not make all suggestions of one moment wrong.

    In spaces of numbers, one trial at a time: every fourth trial comes from a model of what is near the best one, while
    nothing gets better and there is little noise. Where losses are precise a parabola comes first at all of its turns,
    and after each trial that is the best so far; and while the best loss goes down, in whatever digit, every second
    trial comes from that model, so that a narrow valley is followed to its end and then left.

    Args:
        number: of the trial.
        losses: (n,) of those that ended.
        unit: what a loss lower by one is worth, in standard deviations of the transformed losses.
        running: how many others run.
        categories: whether the space has any.
        noise: the learned variance, in that of the transformed losses.
    """
    numbers = not categories and not others_run(running)
    precise = numbers and noise < PRECISE
    stuck, odd = stagnates(losses, unit), bool(number % 2)
    settled = stuck and categories and len(losses) >= SETTLED
    turn = odd if precise else number % 4 == 1
    gained = len(losses) > 1 and bool(losses[-1] < losses[:-1].min())
    parabola = (stuck and turn) or (precise and gained)
    keen = stuck and precise and descends(losses) and not odd
    return Step(
        parabola=parabola,
        eager=parabola and precise,
        shrunk=odd and (stuck or others_run(running)),
        elsewhere=settled and number % 4 == 3,
        bold=settled and not odd,
        nearby=keen or (stuck and numbers and noise < QUIET and number % 4 == 0),
        keen=keen,
        inside=stuck,
    )


def stagnates(losses: Array, unit: float) -> bool:
    """Whether the last few of the losses (n,) gained nothing that counts."""
    if len(losses) <= PATIENCE:
        return False
    before, best = float(losses[:-PATIENCE].min()), float(losses.min())
    return before <= best or not (before - best) * unit > GAIN


def descends(losses: Array) -> bool:
    """Whether one of the last trials is the best of the losses (n,), by however little."""
    return len(losses) > DESCENT and bool(losses[-DESCENT:].min() < losses[:-DESCENT].min())


def others_run(running: int) -> bool:
    """Whether a suggestion has to do without results that are on their way."""
    return running > 0
