"""From when on a board is taken out of use, and when it is tested again: `farm: {health: ...}` in devices.yaml."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from harness.config.document import Model

Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1, le=500)]


class HealthRules(Model):
    """The thresholds of health and quarantine, each with its reason.

    `window_days`: older events say nothing about a board as it is now.
    `failures_in_a_row`: a case fails only after its retries, so three in a row are some nine attempts.
    `recent_cases`: the success rate is that of the last so many; a month would hide a board that broke yesterday.
    `fewest_cases`: with less, one failure would do: the Wilson interval of 0 in 1 ends at 79 %.
    `success_rate`: a board is out if even the upper end of the 95 % Wilson interval of its rate is below. A night of
    100 cases on a board of 90 % leaves ten to be rescheduled.
    `drift`: share by which the ticks of a real board may differ from its siblings'. Wait states, caches and a late
    counter cost more; the same image repeats to far less than 0.5 % on a sound Cortex-M4.
    `drift_spreads`: and by so many times the median absolute deviation of the siblings, for images that vary by nature.
    Emulators repeat to the instruction: there any difference is a finding.
    `siblings`: of two boards that differ nobody can say which is wrong, so a finding takes two others at least.
    `link_errors`: frames sent again per inference in a health check; a sound cable needs none in thousands.
    `retest_hours`: when a quarantined board is tested again: after the first, and after each failed test the next;
    the last one repeats.
    `passes`: so many passed tests in a row release a board; one can be luck.
    """

    window_days: Annotated[float, Field(gt=0, le=90)] = 30.0
    failures_in_a_row: Count = 3
    recent_cases: Count = 20
    fewest_cases: Count = 5
    success_rate: Share = 0.9
    drift: Share = 0.005
    drift_spreads: Annotated[float, Field(ge=0)] = 5.0
    siblings: Annotated[int, Field(ge=2)] = 2
    link_errors: Annotated[float, Field(ge=0)] = 0.05
    retest_hours: Annotated[tuple[Annotated[float, Field(gt=0)], ...], Field(min_length=1)] = (1.0, 4.0, 24.0)
    passes: Count = 2
