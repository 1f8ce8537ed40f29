"""How well a board repeats: spread over repeats, drift over the run, outliers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from harness.report.frame import Repeatability
from harness.report.shifts import drift_share

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from harness.report.frame import CaseId, Policy

#: A normal distribution's standard deviation is so many times its median absolute deviation.
MAD_TO_SD = 1.4826
_OUTLIER_SD = 8.0


def repeatability(case: CaseId, samples: pd.DataFrame, policy: Policy) -> Repeatability | None:
    """Return how well the counter of a case repeats, None if nothing was counted.

    The samples stand in the order in which they were recorded.
    """
    timed = samples[samples["ticks"].notna()]
    if timed.empty:
        return None
    ticks = timed["ticks"].to_numpy(dtype=np.float64)
    inputs = timed["sample"].to_numpy(dtype=np.int64)
    limit = policy.repeat_limit
    repeats, cv = spread_over_repeats(ticks, inputs)
    middle = float(np.median(ticks))
    sd = MAD_TO_SD * float(np.median(np.abs(ticks - middle)))
    outliers = float(np.mean(np.abs(ticks - middle) > max(_OUTLIER_SD * sd, limit * middle)))
    drift = drift_share(ticks)
    emulated = case.backend != "hardware"
    faults = []
    if cv is not None and cv > (0 if emulated else limit):
        faults.append(f"inferences on the same input spread by {100 * cv:.2g} %")
    if drift is not None and not emulated and abs(drift) > limit:
        faults.append(f"the counter drifts by {100 * drift:+.2g} % over the run")
    if faults:
        reason = f"noisy: {' and '.join(faults)}; {100 * limit:g} % is allowed"
    elif emulated:
        reason = "counts the same for the same input"
    elif cv is not None:
        reason = f"repeats to {100 * cv:.2g} %"
    elif sd / middle <= limit:
        reason = f"repeats to {100 * sd / middle:.2g} % or better"
    else:
        reason = f"not known: no input was repeated, and inputs differ by {100 * sd / middle:.2g} %"
    return Repeatability(case, repeats, cv, sd / middle, drift, outliers, bool(faults), reason)


def spread_over_repeats(ticks: NDArray[np.float64], inputs: NDArray[np.int64]) -> tuple[int, float | None]:
    """Return the most inferences on one input, and the coefficient of variation over repeats (None without any).

    The variance is pooled over inputs: sum of squares about each input's mean / sum of (repeats - 1).

    Args:
        ticks: counter differences, shape [N].
        inputs: index of the input of each, shape [N].
    """
    _, index, counts = np.unique(inputs, return_inverse=True, return_counts=True)
    most = int(counts.max())
    if most == 1:
        return 1, None
    means = np.bincount(index, ticks) / counts
    relative = ticks / means[index] - 1
    return most, float(np.sqrt(np.sum(relative**2) / np.sum(counts - 1)))
