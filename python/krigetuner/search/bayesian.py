"""Bayesian optimization: a Gaussian process learns the objective, an acquisition function says what to try next.

Start: the user's defaults, then a space-filling design. From then on every suggestion is the maximum of the acquisition
over the configurations that were never tried; running trials count as if they had given what is expected of them.
The default acquisition counts less near the edges of ranges while trials are few. Failed trials say where trainings
complete: it is weighed by that probability, and the model of the objective knows nothing of them. For the others, which
are what their names say, they are as bad as the worst seen.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from krigetuner.backend.protocol import Array, Backend, Effort
from krigetuner.backend.registry import get_backend
from krigetuner.errors import KrigeTunerWarning
from krigetuner.gp.acquisition import Acquisition
from krigetuner.gp.feasibility import Feasibility, boundary, feasibility
from krigetuner.gp.fitting import FAMILY, Hyperparameters
from krigetuner.gp.interior import interior
from krigetuner.gp.local import representatives
from krigetuner.gp.maximise import design, first_untried, latin, maximise
from krigetuner.gp.model import Choice, Surrogate, choose, kinds_for, refined, surrogate
from krigetuner.gp.parabola import lowest_rows
from krigetuner.gp.priors import columns_of
from krigetuner.gp.transforms import Kind
from krigetuner.search.branches import Branches
from krigetuner.search.encoded import EncodedHistory, Seen
from krigetuner.search.nearby import WORTH, nearby_row
from krigetuner.search.protocol import Answer, Suggestion
from krigetuner.search.randomness import generator, next_number
from krigetuner.search.seen import no_other, nothing_left
from krigetuner.search.stagnation import GAIN, INSIDE, SHRINK, Step, next_step
from krigetuner.space.space import Space
from krigetuner.trial.history import History, Origin, Value

DEFAULT_ALPHA = 1e-4
CLIMB = Effort(iterations=30, tolerance=1e-5, reach=0.3)
START = (4, 10)
"""Least and most trials of a start of default length."""
SHARE = 0.4
"""Of few trials, the most that such a start takes."""
ALWAYS = 20
"""Up to so many observations every suggestion has hyperparameters of its own; later ones share them for a while."""
REFINED = 100
"""Up to so many, those that were shared are moved towards what the later observations say."""
APART = 1e6
"""What is taken from the log acquisition of rows with the best row's categories, where others are looked for."""
CARE, CAREFUL = 10.0, 6
"""How many times as much the probability of completing counts after each failure in a row, and for how many of them at
most: a few in a row end a search."""


class BayesianSearch:
    """Gaussian-process search.

    Args:
        seed: of the randomness, together with the trial's number.
        num_initial_points: trials before the model is used; None or 0: dimensions + 1, between 4 and 10, and of few
            trials 0.4 at most.
        alpha: variance of the noise in the standardised objective, added to the diagonal of the kernel matrix. Left at
            its default, the noise is learned; any other value is the least that is assumed.
        acquisition: see `gp.acquisition.NAMES`.
        beta: weight of the standard deviation in "ucb".
        xi: improvement asked for by "ei", "logei" and "pi", in units of the objective.
        backend: the arithmetic to use; default: the one that `backend.registry` chooses.
        max_trials: how many trials there will be at most; None where that is not known.

    Raises:
        ValueError: an unknown acquisition, or a number outside its range.
    """

    name = "bayesian"

    def __init__(
        self,
        seed: int,
        num_initial_points: int | None = None,
        alpha: float = DEFAULT_ALPHA,
        acquisition: str = "auto",
        beta: float = 2.6,
        xi: float = 0.0,
        backend: Backend | None = None,
        max_trials: int | None = None,
    ) -> None:
        if num_initial_points is not None and not num_initial_points >= 0:
            raise ValueError(
                f"num_initial_points: expected a whole number of at least 0, got {num_initial_points!r}; "
                "None takes one that suits the dimensions"
            )
        if not (math.isfinite(alpha) and alpha >= 0):
            raise ValueError(f"alpha: expected a finite variance of at least 0, got {alpha!r}; try {DEFAULT_ALPHA}")
        self.seed = seed
        self.num_initial_points = num_initial_points
        self.alpha = alpha
        self.acquisition = Acquisition(acquisition, beta, xi)
        self._floor = 0.0 if alpha == DEFAULT_ALPHA else alpha
        self.max_trials = max_trials
        self._backend = backend
        self._fits: dict[tuple[bytes, ...], Choice] = {}
        self._boundaries: dict[tuple[bytes, ...], Hyperparameters] = {}
        self._encoded = EncodedHistory()
        self._branches = Branches()
        self._warned = False

    def ask(self, space: Space, history: History, count: int) -> Answer:
        """At most `count` suggestions; see `search.protocol.Algorithm`."""
        if not space.dimensions:
            return self._ask_trivial(space, history)
        whole, space = space, self._branches.space(space, history)
        seen = self._encoded.read(space, history)
        number, asked = next_number(history), len(history)
        suggestions: list[Suggestion] = []
        for i in range(count):
            row, note = self._next(space, seen, number + i, asked + i)
            if row is None:
                break
            suggestions.append(Suggestion(whole.complete(space.decode(row)), Origin(self.name, note=note)))
            seen.running = np.concatenate([seen.running, row[None]])
            seen.taken.add(space.row_keys(row[None])[0])
        if suggestions:
            return suggestions
        return no_other(space, history)

    def _ask_trivial(self, space: Space, history: History) -> Answer:
        """A space without anything to vary: its one configuration, once."""
        if len(history):
            return nothing_left(history, "the only configuration has been tried")
        return [Suggestion(space.defaults(), Origin(self.name, note={"start": "defaults"}))]

    def _next(self, space: Space, seen: Seen, number: int, index: int) -> tuple[Array | None, dict[str, Value]]:
        """The next row (d,), or None when everything has been tried, and a note on where it came from."""
        start = self._start_count(space)
        if index < start or np.isfinite(seen.losses).sum() < 1:
            rows = self._start_rows(space, start, number, index)
            row = first_untried(space, rows, -np.arange(len(rows), dtype=np.float64), seen.taken)
            return (self._any_row(space, seen, number) if row is None else row), {
                "start": "design" if index else "defaults"
            }
        feasible, failed = None, np.empty((0, space.dimensions))
        if self.acquisition.weighs_feasibility and seen.failed.any():
            feasible, failed, seen = self._feasibility(space, seen), seen.x[seen.failed], seen.completed()
        choice = self._choice(space, seen)
        step = self._step(space, seen, choice, number)
        if step.parabola:
            row = self._lowest_row(space, choice, seen, feasible, number, step.eager)
            if row is not None:
                return row, {"model": "parabola"}
        if step.nearby:
            backend, rng = self._backend or get_backend(), generator(self.seed, number, "nearby")
            worth = 0.0 if step.keen else WORTH
            near = nearby_row(backend, space, seen, choice, self.acquisition, self._floor, feasible, CLIMB, worth, rng)
            if near is not None:
                return near[0], self._noted({"model": "nearby"}, near[1])
        model, note = self._model(seen, choice.shrunk(SHRINK) if step.shrunk else choice)
        if step.shrunk:
            note["lengthscales"] = SHRINK
        if step.elsewhere:
            note["categories"] = "others"
        if self.acquisition.weighs_edges:
            rows = np.stack([space.first_guess, model.lowest] if step.inside else [space.first_guess])
            trials = INSIDE if step.inside else len(seen.losses)
            model = replace(model, penalty=interior(rows, space.categorical, trials))
        row = self._best_row(space, model.failing(failed, feasible), seen, number, step)
        return (self._any_row(space, seen, number) if row is None else row), note

    def _start_count(self, space: Space) -> int:
        if self.num_initial_points:
            return self.num_initial_points
        most = START[1] if self.max_trials is None else min(int(SHARE * self.max_trials), START[1])
        return max(min(space.dimensions + 1, most), START[0])

    def _start_rows(self, space: Space, start: int, number: int, index: int) -> Array:
        """Rows (k, d) for the start, in order of preference: the design from this trial's row on, random ones."""
        rows = design(space, generator(self.seed, 0, "start"), space.first_guess, start)
        later = space.sample(generator(self.seed, number, "random").random((64, space.dimensions)))
        return np.concatenate([rows[index:], later])

    def _any_row(self, space: Space, seen: Seen, number: int) -> Array | None:
        """An untried row when cleverness found none: at random, then by going through all of a finite space."""
        rng = generator(self.seed, number, "any")
        rows = space.sample(rng.random((512, space.dimensions)))
        row = first_untried(space, rows, rng.random(len(rows)), seen.taken)
        if row is None and space.size is not None:
            for values in space.enumerate(everything=True):
                row = space.encode(values)
                if space.row_keys(row[None])[0] not in seen.taken:
                    return row
            return None
        return row

    def _choice(self, space: Space, seen: Seen) -> Choice:
        """The transform and the hyperparameters, of all trials that ended or of most."""
        backend = self._backend or get_backend()
        m, columns = refit_size(len(seen.x)), columns_of(space)
        key = (
            seen.x[:m].tobytes(),
            seen.losses[:m].tobytes(),
            seen.variances[:m].tobytes(),
            columns.key,
            backend.name.encode(),
        )
        if key not in self._fits:
            learns = self.acquisition.learns_model
            kinds: Sequence[Kind] = kinds_for(m) if learns else ("plain",)
            part = choose(backend, seen.x[:m], seen.losses[:m], seen.variances[:m], columns, self._floor, kinds, learns)
            self._fits = {key: part}
        if not m < len(seen.x) <= REFINED:
            return self._fits[key]
        return refined(backend, seen.x, seen.losses, seen.variances, columns, self._floor, self._fits[key])

    def _feasibility(self, space: Space, seen: Seen) -> Feasibility:
        """Where trainings complete, of all trials that ended."""
        backend = self._backend or get_backend()
        kept = representatives(seen.x, seen.losses, np.ones(space.dimensions), space.categorical)
        x, failed = np.ascontiguousarray(seen.x[kept]), seen.failed[kept]
        m, columns = refit_size(len(x)), columns_of(space)
        key = x[:m].tobytes(), failed[:m].tobytes(), columns.key, backend.name.encode()
        if key not in self._boundaries:
            self._boundaries = {key: boundary(backend, x[:m], failed[:m], columns)}
        in_a_row = int(np.argmin(seen.failed[::-1]))
        return feasibility(backend, x, failed, self._boundaries[key], CARE ** min(in_a_row, CAREFUL))

    def _model(self, seen: Seen, choice: Choice) -> tuple[Surrogate, dict[str, Value]]:
        """The posterior after the trials that ended and those that run, and a note on it."""
        model = surrogate(self._backend or get_backend(), seen.x, seen.losses, seen.variances, choice)
        note = self._noted({"acquisition": self.acquisition.name, "transform": model.choice.kind}, model.jitter)
        if (family := model.choice.found.hyper.family) != FAMILY:
            note["kernel"] = family
        return model.believing(seen.running), note

    def _noted(self, note: dict[str, Value], jitter: float) -> dict[str, Value]:
        """The note with the jitter that was needed, which is said once beside."""
        if not jitter:
            return note
        if not self._warned:
            self._warned = True
            text = (
                "the kernel matrix could not be factored as it is: jitter {:.0e} was added to its diagonal; raise alpha"
            )
            warnings.warn(text.format(jitter), KrigeTunerWarning, stacklevel=2)
        return {**note, "jitter": jitter}

    def _step(self, space: Space, seen: Seen, choice: Choice, number: int) -> Step:
        if self.acquisition.name != "auto":
            return Step()
        categories = bool(space.categorical.any())
        return next_step(number, seen.losses, choice.unit, len(seen.running), categories, choice.found.noise)

    def _lowest_row(
        self, space: Space, choice: Choice, seen: Seen, feasible: Feasibility | None, number: int, eager: bool
    ) -> Array | None:
        """The untried row where a parabola near the best row is lowest, and where a training is likely to complete."""
        rng = generator(self.seed, number, "parabola")
        rows = lowest_rows(space, seen.x, seen.losses, choice.found.hyper.lengthscales, rng, eager)
        if feasible is not None and len(rows):
            rows = rows[feasible.log_probability(rows)[0] > math.log(0.5)]
        return first_untried(space, rows, -np.arange(len(rows), dtype=np.float64), seen.taken)

    def _best_row(self, space: Space, model: Surrogate, seen: Seen, number: int, step: Step) -> Array | None:
        """The untried row with the largest acquisition; see `Step` for what it is of."""
        rng = generator(self.seed, number, "maximise")
        if self.acquisition.draws:
            rows = space.sample(latin(rng, 1000, space.dimensions))
            return first_untried(space, rows, -model.sample(rows, rng.standard_normal((1, len(rows))))[0], seen.taken)
        spec = self.acquisition.spec(model.best - GAIN * step.bold, model.unit)
        order = np.argsort(model.means, kind="stable")
        fixed, best = space.categorical, model.x[order[0]]

        def score(rows: Array) -> Array:
            values = model.score(rows, spec)[0]
            return values - APART * (rows[:, fixed] == best[fixed]).all(axis=1) if step.elsewhere else values

        def climb(starts: Array, lower: Array, upper: Array) -> Array:
            return model.ascend(starts, lower, upper, spec, CLIMB)

        return maximise(space, score, climb, model.x[order[:5]], seen.taken, rng)


def refit_size(n: int) -> int:
    """From how many of n observations hyperparameters are fitted: all up to ALWAYS, then a geometric series."""
    if n <= ALWAYS:
        return n
    size = ALWAYS
    while (larger := size + size // 5) <= n:
        size = larger
    return size
