"""What `hil build` prints of a model and its image."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from harness.cli.tables import print_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.build.making import Made, Making
    from harness.build.plan import Plan
    from harness.build.sizes import LayerSize


def print_layers(name: str, layers: Sequence[LayerSize], plan: Plan) -> None:
    """Print a model by layer."""
    rows = []
    for layer in layers:
        sizes = (layer.macs, layer.flash_bytes, layer.arena_bytes, layer.scratch_bytes)
        shape = "x".join(map(str, layer.shape))
        rows.append((str(layer.operator), layer.kind, layer.kernel, shape, *(f"{size:,}" for size in sizes)))
    flash = sum(layer.flash_bytes for layer in layers)
    rows.append(("", "sum or arena", "", "", f"{plan.macs:,}", f"{flash:,}", f"{plan.arena_bytes:,}", ""))
    columns = ("op", "operator", "kernel", "output", "MACs", "flash", "RAM in use", "scratch")
    print_table(f"{name}, by layer; bytes of constants in flash and of the arena", columns, rows, ("op", *columns[4:]))
    click.echo(f"{plan.macs:,} MACs, {plan.parameters:,} parameters, arena {plan.arena_bytes:,} B.")


def print_made(made: Made, making: Making, layers: Sequence[LayerSize]) -> None:
    """Print what an image takes of a board; `layers` are those of its model, none of another engine's."""
    image, kind = made.image, making.target.kind
    constants = sum(layer.flash_bytes for layer in layers)
    what = f" (constants {constants:,}, code and the rest {image.flash_bytes - constants:,})" if layers else ""
    bottom, top = image.stack
    low, high = image.heap
    heap = f", heap {high - low:,}" if high > low else ""
    ram = image.ram_static_bytes + image.ram_arena_bytes + high - low
    click.echo(f"Flash: {used_of(image.flash_bytes, kind.flash.size)}{what}.")
    where = kind.ram_name(image.arena_address)
    place = f" in {where}" if where is not None and len(kind.memories) > 1 else ""
    static = f"static {image.ram_static_bytes:,}" + (" with code and constants" if making.target.code_in_ram else "")
    parts = f"{static}, arena {image.ram_arena_bytes:,}{place}{heap}"
    left = f"and the stack, for which {top - bottom:,} B are left"
    click.echo(f"RAM: {used_of(ram, kind.ram_bytes)} ({parts}), {left}.")
    regions = ", ".join(f"{region.name} {used_of(region.used_bytes, region.size_bytes)}" for region in made.regions)
    click.echo(f"Regions of {made.script.name}: {regions}.")
    kernels = ", plain C kernels" if making.only_plain else ""
    click.echo(f"{image.path}: build id {image.build_id}, {making.toolchain.version}{kernels}.")
    click.echo(f"Look at it: hil profile {image.path} --device {kind.name}")


def used_of(used: int, size: int) -> str:
    """Say how much of a memory is used."""
    return f"{used:,} of {size:,} B ({100 * used / size:.1f} %)"
