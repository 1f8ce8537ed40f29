"""Links an image with a board's linker scripts, one after the other until it fits, and says what doesn't."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.build.sizes import check_regions, region_title, too_large
from harness.build.sources import LIBRARIES, link_options
from harness.build.toolchain import first_lines, link
from harness.build.unresolved import explain_unresolved
from harness.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from harness.build.sources import Target
    from harness.build.toolchain import Linked, Region, Toolchain, Unit

#: What the linker scripts say if less is left than they insist on.
_LEAST_STACK = re.compile(r"less than (\d+) B of RAM are left for the stack")
_RAM_BLOCK = 8192  # with a port of its own, see nano33.ld
_STACK = "RAM"  # the region whose rest is the stack's (sections.ld)


@dataclass(frozen=True)
class Parts:
    """What an image is linked of, in this order; `source` names it in messages, `why` says what makes it large."""

    source: str
    units: Sequence[Unit]
    libraries: Sequence[str] = ()
    why: Sequence[str] = ()


@dataclass(frozen=True)
class Placed:
    """How an image fits: the linker script, and how full its regions are."""

    script: Path
    regions: tuple[Region, ...]


def link_image(target: Target, toolchain: Toolchain, parts: Parts, objects: Sequence[Path], image: Path) -> Placed:
    """Link with the first of the board's linker scripts that the image fits; `objects` are those of the units.

    Raises:
        TooLargeError: it fits none; the message is about the script with the least excess.
        ConfigError: it can't be linked.
    """
    cxx = any(unit.cxx for unit in parts.units)
    tried: list[Linked] = []
    for script in target.scripts:
        options = (*link_options(target, script, cxx=cxx), *parts.libraries, *LIBRARIES)
        linked = link(toolchain, objects, options, image, cxx=cxx)
        dma_bytes = _dma_bytes(linked, script)
        if dma_bytes is not None:
            options = (f"-Wl,--defsym=__dma_bytes={dma_bytes}", *options)
            linked = link(toolchain, objects, options, image, cxx=cxx)
        if linked.problem is None:
            return Placed(script, linked.regions)
        tried.append(linked)
        if not _is_full(linked):
            break
    _refuse(target, parts, min((linked for linked in tried if _is_full(linked)), key=_excess, default=tried[-1]))
    linked = tried[-1]
    names = {str(made): str(unit.source) for made, unit in zip(objects, parts.units, strict=True)}
    problem = first_lines(explain_unresolved(linked.problem or "", linked.map, names))
    raise ConfigError(f"{parts.source} can't be linked ({toolchain.version}):\n{problem}")


def _refuse(target: Target, parts: Parts, linked: Linked) -> None:
    """Say what doesn't fit; return if it is something else that is wrong."""
    check_regions(parts.source, target.kind, linked.regions, parts.why)
    least = _least_stack(linked)
    if not least:
        return
    region = next(region for region in linked.regions if region.name == _STACK)
    left = region.size_bytes - region.used_bytes
    few = f"{region_title(region, target.kind)}: only {left:,} of {region.size_bytes:,} B are left for the stack"
    problem = f"{few}, {least - left:,} B too few."
    flash = sum(region.used_bytes for region in linked.regions if region.name == "FLASH")
    ram = sum(region.used_bytes for region in linked.regions if region.name != "FLASH") + least
    raise too_large(parts.source, target.kind, [problem], parts.why, flash_bytes=flash, ram_bytes=ram)


def _least_stack(linked: Linked) -> int:
    """Return how many bytes the linker insisted on for the stack; 0 if it had no reason to."""
    found = _LEAST_STACK.search(linked.problem or "")
    return int(found[1]) if found else 0


def _is_full(linked: Linked) -> bool:
    """Whether a memory region is too small: for what lies in it, or for a stack behind that."""
    over = any(region.used_bytes > region.size_bytes for region in linked.regions)
    return linked.problem is not None and (over or _least_stack(linked) > 0)


def _excess(linked: Linked) -> int:
    """Return by how many bytes regions are too small."""
    least = _least_stack(linked)
    return sum(
        max(region.used_bytes + (least if region.name == _STACK else 0) - region.size_bytes, 0)
        for region in linked.regions
    )


def _dma_bytes(linked: Linked, script: Path) -> int | None:
    """Return how much RAM what DMA touches needs, in whole blocks, if the rest may have what is behind these.

    None if the image fits without that, or the linker script doesn't know of it.
    """
    if not _is_full(linked) or b"__dma_bytes" not in script.read_bytes():
        return None
    sizes = {region.name: region for region in linked.regions}
    blocks = max(-(-sizes["DMARAM"].used_bytes // _RAM_BLOCK), 1) * _RAM_BLOCK
    return blocks if blocks < sizes["DMARAM"].size_bytes + sizes[_STACK].size_bytes else None
