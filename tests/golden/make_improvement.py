"""Writes improvement.json: log(phi(z) + z Phi(z)), Phi(z) and their derivatives far into the tail, from 50 digits.

Run from the root of the repository: python tests/golden/make_improvement.py
"""

from __future__ import annotations

import json
from pathlib import Path

from mpmath import mp, mpf

mp.dps = 50
POINTS = [
    *range(-40, 11),
    -0.5,
    -0.999,
    -1.001,
    -2.5,
    -19.99,
    -20.01,
    -33.3,
    0.25,
    25.0,
    40.0,
    -60.0,
    -1e2,
    -1e3,
    -1e4,
    -1e6,
]


def main() -> None:
    rows = []
    for point in map(float, sorted(POINTS)):
        # 1 + z Phi / phi loses 2 log10 |z| digits
        with mp.workdps(50 + 20):
            z = mpf(point)
            cumulative = mp.erfc(-z / mp.sqrt(2)) / 2
            density = mp.exp(-z * z / 2) / mp.sqrt(2 * mp.pi)
            improvement = density + z * cumulative
            rows.append(
                {
                    "z": point,
                    "log_improvement": float(mp.log(improvement)),
                    "improvement": float(improvement),
                    "probability": float(cumulative),
                    "cumulative_ratio": float(cumulative / improvement),
                    "density_ratio": float(density / improvement),
                }
            )
    Path(__file__).with_name("improvement.json").write_text("[\n" + ",\n".join(map(json.dumps, rows)) + "\n]\n")


if __name__ == "__main__":
    main()
