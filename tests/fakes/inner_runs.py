"""Import this where pytester runs suites: it forgets after each inner run what that run was first to import.

Importing it all anew takes seconds of each run.
"""

from __future__ import annotations

import harness.pytest_plugin.gate
import harness.pytest_plugin.items
import harness.pytest_plugin.progress
import harness.pytest_plugin.summary
import harness.report.baseline
import harness.report.page
import harness.run.options
import harness.run.session
import harness.store.publish  # noqa: F401
