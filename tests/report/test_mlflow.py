"""Cases in a store of MLflow, as its own client reads them."""

from __future__ import annotations

import importlib.util

import pytest
from click.testing import CliRunner

from fakes.made_cases import write_run
from harness.cli import main

MISSING = importlib.util.find_spec("mlflow") is None
INSTALL = "mlflow is not installed: pip install 'tinyml-hil[mlflow]'"


@pytest.mark.slow
@pytest.mark.skipif(MISSING, reason=INSTALL)
def test_each_case_is_logged_once_with_what_was_measured(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")  # the one store that needs no database and no server
    monkeypatch.chdir(tmp_path)
    hardware = {"counter": "cycles", "image_sha256": "ab" * 32, "energy_uj": 7.5, "power_source": "ppk2"}
    virtual = {"backend": "virtual", "energy_uj": 3.5, "power_source": "simulated", "ticks": [500] * 30}
    bad = {"variant": "bad", "status": "failed", "reason": "it hung"}
    write_run(tmp_path / "results", cases=(hardware, virtual, bad))
    uri = (tmp_path / "store").as_uri()

    def export():
        return CliRunner().invoke(main, ["results", "export", "results", "--mlflow", uri])

    assert "Logged: 3 cases.\n" in export().output

    from mlflow.tracking import MlflowClient

    client = MlflowClient(tracking_uri=uri)
    experiments = {one.name: one.experiment_id for one in client.search_experiments()}
    runs = client.search_runs([experiments["tinyml-hil/digits"]], order_by=["attribute.start_time"])
    parents = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    cases = [run for run in runs if run not in parents]
    assert (len(parents), len(cases)) == (1, 3)
    for parent in parents:
        assert {file.path for file in client.list_artifacts(parent.info.run_id)} == {"report.html", "run.json"}
    real, emulated, failed = cases
    assert (real.info.status, failed.info.status) == ("FINISHED", "FAILED")
    assert failed.data.tags["hil.reason"] == "it hung"
    assert real.data.params["image_sha256"] == "ab" * 32
    assert {name: real.data.metrics[name] for name in ("accuracy", "cycles_median", "energy_uj", "ram_peak_bytes")} == {
        "accuracy": 1.0,
        "cycles_median": 1000.0,
        "energy_uj": 7.5,
        "ram_peak_bytes": 1000.0,
    }
    assert (emulated.data.metrics["instructions_median"], emulated.data.metrics["simulated_energy_uj"]) == (500.0, 3.5)
    assert not any(name.startswith(("latency", "energy", "ticks")) for name in emulated.data.metrics)

    client.create_run(experiments["tinyml-hil/digits"], tags={"hil.case": f"{parents[0].info.run_name}/0"})  # cut off
    assert "Logged: 0 cases; 3 were there already." in export().output
    assert len(client.search_runs([experiments["tinyml-hil/digits"]])) == len(runs)


def test_without_mlflow_what_to_install_is_said(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "mlflow.exceptions", None)
    write_run(tmp_path)
    done = CliRunner().invoke(main, ["results", "--results-dir", str(tmp_path), "export", "--mlflow", "x"])
    assert (done.exit_code, "pip install 'tinyml-hil[mlflow]'" in done.output) == (1, True)
