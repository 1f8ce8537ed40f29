"""Runs of pytest are published at the end of the session."""

from __future__ import annotations

import pytest

import fakes.inner_runs  # noqa: F401 (what the inner runs need)
import harness

pytest_plugins = ["pytester"]


@pytest.fixture
def session(pytester, root, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")

    def run(store, *words):
        pytester.path.joinpath("devices.yaml").write_text(f"farm:\n  store: {store}\n")
        suite = f"{root}/suites/japanese_vowels.yaml::int8"
        board = ("--device", "nano33", "--backend", "virtual", "--samples", "3", "--lab", "devices.yaml")
        run_pytest = pytester.runpytest_subprocess if words else pytester.runpytest_inprocess
        done = run_pytest("-q", "-p", "no:cacheprovider", suite, *board, *words)
        (folder,) = pytester.path.joinpath("results").glob("2*")
        return done.ret, done.stdout.str(), folder

    return run


@pytest.mark.parametrize("words", [(), pytest.param(("-n", "2"), marks=pytest.mark.slow)])
def test_into_a_folder(session, pytester, words):
    store = pytester.path / "store"
    code, said, run = session(store, *words)
    assert (code, f"Published: {store / run.name}" in said) == (0, True)
    assert said.count("Published") == 1
    assert harness.load_results(store).samples.equals(harness.load_results(run).samples)


def test_a_store_that_fails_keeps_the_run_and_fails_the_session(session):
    code, said, run = session("nosuch://store")
    assert code == 1
    assert "NOT published: " in said
    assert f"hil results publish results/{run.name}" in said
    assert len(harness.load_results(run).samples) == 3
