"""`hil profile`: where the work of an inference goes, by layer or by function."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from harness.cli.options import (
    AS_JSON,
    BACKEND,
    DEVICE,
    FILE,
    IMAGE,
    LAB,
    SHOW_ESTIMATED_TIME,
    load_lab,
    single_device,
    waits,
)
from harness.cli.tables import console, print_table

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from harness.boards.backends import Wanted
    from harness.boards.base import Backend
    from harness.boards.virtual.cycles.costs import Costs
    from harness.config import Device
    from harness.config.chip import FlashTiming
    from harness.image.elf import Image
    from harness.locks.waiting import Patience
    from harness.profile.estimates import PartEstimate
    from harness.profile.functions import FunctionProfile
    from harness.profile.inputs import ProfileInput
    from harness.profile.layers import LayerShare, Profile

_BAR_COLUMNS = 4, 12  # in a narrow and in a wide terminal
_OTHER_COLUMNS = 101
_EIGHTHS = " ▏▎▍▌▋▊▉█"
_NOT_CYCLES = "Instructions are not cycles: a real board may spend its time elsewhere."
_ESTIMATED = "ESTIMATED cycles, not measured"
_SMALL = 0.001  # of an estimate


@click.command()
@IMAGE
@DEVICE
@BACKEND
@click.option("--suite", type=FILE, metavar="FILE", help="Run on a sample of this suite.")
@click.option("--sample", type=click.IntRange(min=0), metavar="N", help="With --suite: which sample (default: 0).")
@click.option("--input", "file", type=FILE, metavar="FILE", help="Run on this .npy file, floats or raw.")
@click.option("--functions", is_flag=True, help="By C function instead (virtual board only).")
@click.option(
    "--flash",
    "flash_file",
    type=FILE,
    metavar="FILE",
    help="Estimate cycles with the flash that this YAML file describes (docs/cycles.md).",
)
@click.option(
    "--costs",
    "costs_file",
    type=FILE,
    metavar="FILE",
    help="Estimate cycles with what `hil calibrate --keep` wrote (docs/cycles.md).",
)
@SHOW_ESTIMATED_TIME
@AS_JSON
@LAB
@waits
def profile(
    *,
    image: Path,
    device: str,
    backend: Wanted,
    suite: Path | None,
    sample: int | None,
    file: Path | None,
    functions: bool,
    flash_file: Path | None,
    costs_file: Path | None,
    estimated_time: bool,
    as_json: bool,
    lab: str | None,
    patience: Patience,
) -> None:
    """Show which layers of IMAGE an inference spends its cycles or instructions in.

    The input is random unless --suite or --input name one. A board that runs IMAGE already is not flashed.
    """
    from harness.boards.backends import choose_backend
    from harness.farm.lab_access import opened
    from harness.image.elf import load_image
    from harness.profile.content import functions_content, layers_content, time_content
    from harness.profile.functions import FunctionProfile, profile_functions
    from harness.profile.layers import profile_image

    if suite and file:
        raise click.UsageError("--suite and --input exclude each other")
    if sample is not None and not suite:
        raise click.UsageError("--sample goes with --suite")
    chosen = single_device(load_lab(lab), device)
    loaded = load_image(image, chosen.kind)
    given = _choose_input(loaded, suite, sample or 0, file)
    flash, costs = _model(flash_file, costs_file)
    clock_hz = _clock(chosen, flash) if estimated_time else None
    where: Backend = "virtual"  # no other counts by function
    if not functions or backend != "auto":
        where, why = choose_backend(chosen, backend)
    if not functions and not as_json:
        click.echo(f"{chosen.name} on {where} ({why})")
    with opened(chosen, where, patience=patience) as board:
        found = (profile_functions if functions else profile_image)(board, loaded, given.data, flash, costs)
        notes = list(board.notes)
    if as_json:
        content = functions_content(found) if isinstance(found, FunctionProfile) else layers_content(found)
        if clock_hz is not None:
            content["estimated_time"] = time_content(found, clock_hz)
        heading = {
            "image": str(image),
            "image_sha256": loaded.sha256,
            "build_id": loaded.build_id,
            "model": loaded.card.model,
            "device": chosen.name,
            "backend": where,
            "input": given.origin,
        }
        click.echo(json.dumps(heading | content, indent=2))
        return
    for note in () if functions else notes:
        click.echo(f"{note[0].upper()}{note[1:]}.")
    click.echo(f"Input: {given.origin}.")
    title = f"{loaded.card.model} on {chosen.name}, {where} backend"
    if isinstance(found, FunctionProfile):
        _print_functions(found, title)
        click.echo(_NOT_CYCLES)
        rows = [(row.function, row.estimate) for row in found.functions if row.estimate is not None]
        _print_estimates("function", rows, found)
    else:
        print_profile(found, title)
    if clock_hz is not None:
        _print_time(found, clock_hz)


def _model(flash_file: Path | None, costs_file: Path | None) -> tuple[FlashTiming | None, Costs | None]:
    """Return what the files say of the flash and of the costs; None for those of the board's chip."""
    from harness.boards.virtual.cycles.costs import shipped_costs
    from harness.config.chip import load_calibrated, load_flash_timing

    kept = None if costs_file is None else load_calibrated(costs_file)
    costs = None if kept is None else shipped_costs().calibrated(kept.cycle_costs.cycles)
    if flash_file is not None:
        return load_flash_timing(flash_file), costs
    return None if kept is None else kept.flash_timing, costs


def _clock(chosen: Device, flash: FlashTiming | None) -> int:
    """Return the clock that estimated cycles are turned into time by."""
    clock_hz = chosen.kind.clock_hz
    if flash is not None and flash.clock_hz != clock_hz:
        raise click.UsageError(
            f"--show-estimated-time: the waits for flash are those at {flash.clock_hz / 1e6:g} MHz, and {chosen.name} "
            f"runs at {clock_hz / 1e6:g} MHz: no time follows from both"
        )
    return clock_hz


def _print_time(profile: Profile | FunctionProfile, clock_hz: int) -> None:
    from harness.profile.content import time_of
    from harness.report.estimates import shown_ms

    time = time_of(profile, clock_hz)
    if time is None:
        click.echo("No estimated time: there is no estimate of cycles here.")
    else:
        unit = " ms" if time.range_ms else ""
        click.echo(
            f"ESTIMATED time in all at {clock_hz / 1e6:g} MHz: {shown_ms(time.ms)} ms, range {time.range}{unit}. "
            "It is no latency, and nothing was timed."
        )


def print_profile(profile: Profile, title: str) -> None:
    """Print a table of an inference by layer, or why there is none."""
    if profile.layers:
        _print_layers(profile, title)
    else:
        click.echo(f"No layers: {profile.why_no_layers}.")
        click.echo(f"The whole inference takes {profile.inference:,} {profile.counter}.")
    if profile.counter == "instructions":
        click.echo(_NOT_CYCLES)
    names = [*(f"{row.layer} {row.name or ''}" for row in profile.layers), "outside layers"]
    _print_estimates("layer", list(zip(names, profile.estimates or (), strict=False)), profile)


def _print_estimates(what: str, rows: Sequence[tuple[str, PartEstimate]], profile: Profile | FunctionProfile) -> None:
    """Print a table of where estimated cycles go, most of them first, those of next to none in one row; or why not."""
    from harness.profile.estimates import joined

    worth = profile.worth
    if worth is None:
        if profile.why_no_estimates is not None:
            click.echo(f"No estimate of cycles: {profile.why_no_estimates}.")
        return
    total = sum(estimate.cycles for _, estimate in rows)
    shown = sorted(rows, key=lambda row: -row[1].cycles)
    small = [estimate for _, estimate in shown if estimate.cycles < _SMALL * total]
    shown = [*shown[: len(shown) - len(small)], *([("others", joined(small))] if small else [])]
    cells = [
        (
            name,
            f"{estimate.cycles:,.0f}",
            _percent(estimate.cycles / total),
            f"{estimate.cycles / estimate.instructions:.2f}" if estimate.instructions else None,
            *(f"{100 * part / estimate.cycles:.0f}" if part and estimate.cycles else None for part in estimate.parts),
        )
        for name, estimate in shown
    ]
    headings = (what, "cycles", "share", "CPI", "arith.", "mult.", "load", "store", "branch", "float", "flash")
    print_table(f"{_ESTIMATED}; where they go, in percent", headings, cells, right=headings[1:])
    click.echo(f"Estimated in all: {total:,.0f} cycles by {worth.model}. Error: {worth.validity.words}.")


def _choose_input(image: Image, suite: Path | None, sample: int, file: Path | None) -> ProfileInput:
    """Return the input that is asked for: a suite's sample, a file's, or else a random one."""
    from harness.profile.inputs import file_input, random_inputs, suite_input

    if suite is not None:
        return suite_input(image, suite, sample)
    if file is not None:
        return file_input(image.card.input, file)
    return random_inputs(image.card)


def _print_functions(profile: FunctionProfile, title: str) -> None:
    print_table(
        title,
        ("function", "instructions per inference", "share"),
        [(row.function, f"{row.instructions:,.0f}", f"{100 * row.share:.1f} %") for row in profile.functions],
        right=("instructions per inference", "share"),
    )
    total = sum(row.instructions for row in profile.functions)
    click.echo(f"Total: {total:,.0f}. The board's own counter says {profile.counter:,.0f} for the inference alone.")


def bar(share: float, columns: int, *, blocks: bool) -> str:
    """Return a bar.

    Args:
        share: of the longest bar, 0 to 1.
        columns: how wide the longest is.
        blocks: whether the output can show block characters; `#` otherwise.
    """
    if not blocks:
        return "#" * round(share * columns)
    whole, part = divmod(round(share * columns * 8), 8)
    return _EIGHTHS[8] * whole + (_EIGHTHS[part] if part else "")


def _print_layers(profile: Profile, title: str) -> None:
    counter = profile.counter
    longest = max(row.ticks for row in profile.layers) or 1
    out = console()
    columns = min(max(out.width - _OTHER_COLUMNS, _BAR_COLUMNS[0]), _BAR_COLUMNS[1])
    blocks = out.encoding.lower().startswith("utf")
    rows = [_cells(row, bar(row.ticks / longest, columns, blocks=blocks)) for row in profile.layers]
    share = profile.rest / profile.total
    rows.append(("", "outside layers", "", "", "", f"{profile.rest:,}", _percent(share), "", ""))
    known = [row.spec for row in profile.layers if row.spec is not None]
    macs, moved = sum(spec.macs for spec in known), sum(spec.bytes_moved for spec in known)
    sums = (f"{macs:,}", f"{moved:,}") if known else ("-", "-")
    average = f"{profile.total / macs:.2f}" if macs else None
    rows.append(("", "total", "", *sums, f"{profile.total:,}", _percent(1.0), average, ""))
    headings = ("layer", "operator", "output", "MACs", "bytes moved", counter, "share", "per MAC", "")
    print_table(title, headings, rows, right=("layer", "MACs", "bytes moved", counter, "share", "per MAC"))
    difference = profile.total - profile.inference
    more = f"{abs(difference):,} {'more' if difference >= 0 else 'fewer'}"
    click.echo(
        f"An ordinary inference on this input takes {profile.inference:,} {counter}; measured by layer it is {more} "
        f"({100 * abs(difference) / profile.inference:.2f} %)."
    )


def _cells(row: LayerShare, chart: str) -> tuple[str | None, ...]:
    spec = row.spec
    what: tuple[str | None, ...] = (row.name, None, None, None)
    if spec is not None:
        what = (row.name, "x".join(map(str, spec.output)), f"{spec.macs:,}", f"{spec.bytes_moved:,}")
    per_mac = None if row.ticks_per_mac is None else f"{row.ticks_per_mac:.2f}"
    return (str(row.layer), *what, f"{row.ticks:,}", _percent(row.share), per_mac, chart)


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
