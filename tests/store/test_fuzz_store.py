"""Whatever a journal, run.json or a store's manifest holds, a run is recovered or refused in words."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import sys
import warnings

from fuzzing import amounts, chances, fuzz, spoil
from harness.errors import HilError
from harness.files.journal_lines import Damage, journal_line, read_journal
from harness.store import find_run, load_results, recover
from harness.store.journal import JOURNAL
from store.test_runs import KILLED

#: What a program of another version, or a hand, may have written where another value stood.
STRANGE = (None, True, -1, 2**63, 2**200, 1.5, "", "1", [], [[]], {}, {"status": "complete"}, "2026-13-01T00:00:00")


def strange(chance, record):
    """Put something else where a value stood, at any depth, or take it away."""
    place = record
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        if not keys:
            return
        key = chance.choice(keys)
        if isinstance(place[key], dict | list) and chance.random() < 0.7:
            place = place[key]
        elif isinstance(place, dict) and chance.random() < 0.3:
            del place[key]
            return
        else:
            place[key] = chance.choice(STRANGE)
            return


@amounts(quick=150, many=2000)
def test_a_run_is_recovered_or_refused(cases, tmp_path):
    subprocess.run([sys.executable, "-c", KILLED, tmp_path / "template"], check=False)
    template = find_run(tmp_path / "template" / "latest").resolve()
    records = [record for record in read_journal(template / JOURNAL) if not isinstance(record, Damage)]
    about = (template / "run.json").read_bytes()
    folder = tmp_path / "runs" / template.name

    def check(chance):
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(template, folder)
        mine = json.loads(json.dumps(records))
        strange(chance, chance.choice(mine))  # with a CRC that fits
        lines = b"".join(map(journal_line, mine))
        (folder / JOURNAL).write_bytes(spoil(chance, (lines,)) if chance.random() < 0.3 else lines)
        if chance.random() < 0.5:
            told = json.loads(about)
            strange(chance, told)
            text = json.dumps(told).encode()
            (folder / "run.json").write_bytes(spoil(chance, (text,)) if chance.random() < 0.5 else text)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with contextlib.suppress(HilError):
                load_results(folder.parent)
            with contextlib.suppress(HilError):
                recover(folder)
                assert len(load_results(folder).samples) <= 6

    fuzz(cases, chances(), check)
