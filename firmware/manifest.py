"""Write manifest.json beside prebuilt images: what each is, and its SHA-256."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from harness.image.elf import load_image


def main(folder: Path) -> None:
    """List every image in `folder`."""
    entries = {}
    for path in sorted(folder.glob("*.elf")):
        image = load_image(path)
        entries[path.name] = {
            "sha256": image.sha256,
            "build_id": image.build_id,
            "model": image.card.model,
            "tflite_sha256": image.card.tflite_sha256,
            "toolchain": image.toolchain,
            "flash_bytes": image.flash_bytes,
            "ram_static_bytes": image.ram_static_bytes,
            "ram_arena_bytes": image.ram_arena_bytes,
        }
    (folder / "manifest.json").write_text(json.dumps(entries, indent=2) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
