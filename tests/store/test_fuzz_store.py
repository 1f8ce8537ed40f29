"""Whatever a journal, run.json or a store's manifest holds, a run is recovered or refused in words."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import sys
import warnings

from fuzzing import NOT_JSON, STRANGE, amounts, fuzz, replace_value, spoil
from harness.errors import HilError
from harness.files.journal_lines import Damage, journal_line, read_journal
from harness.store import find_run, load_results, recover
from harness.store.journal import JOURNAL
from store.test_runs import KILLED


@amounts(quick=10, many=75)
def test_a_run_is_recovered_or_refused(cases, tmp_path):
    subprocess.run([sys.executable, "-c", KILLED, tmp_path / "template"], check=False)
    template = find_run(tmp_path / "template" / "latest").resolve()
    records = [record for record in read_journal(template / JOURNAL) if not isinstance(record, Damage)]
    ended = "2026-03-01T12:00:00+00:00"
    attempt = ["b1", "host", None, None, "start", "failed", "LinkError", "silent", False, 0, 1.5, ended]
    records.insert(1, {"t": "attempts", "case": 0, "v": [attempt]})
    about = (template / "run.json").read_bytes()
    folder = tmp_path / "runs" / template.name

    def check(chance):
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(template, folder)
        mine = json.loads(json.dumps(records))
        replace_value(chance, chance.choice(mine), STRANGE + NOT_JSON[-1:])  # with a CRC that fits
        lines = b"".join(map(journal_line, mine))
        (folder / JOURNAL).write_bytes(spoil(chance, (lines,)) if chance.random() < 0.3 else lines)
        if chance.random() < 0.5:
            told = json.loads(about)
            replace_value(chance, told, STRANGE + NOT_JSON)
            text = json.dumps(told).encode()
            (folder / "run.json").write_bytes(spoil(chance, (text,)) if chance.random() < 0.5 else text)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with contextlib.suppress(HilError):
                load_results(folder.parent)
            with contextlib.suppress(HilError):
                recover(folder)
                results = load_results(folder)
                assert len(results.samples) <= 6
                assert len(results.attempts) <= 1

    fuzz(cases, check)
