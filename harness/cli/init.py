"""`hil init`: a lab folder of the user's own that works at once."""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli.options import FILE
from harness.errors import ConfigError, StoreError
from harness.files.starter import firmware_root, starter_files, starter_root

_DEVICES = """\
# The boards of this lab. Without an entry, `--device nano33` uses the virtual board.
# `hil devices` shows what is attached, `hil devices --add` writes it here.
#
#   devices:
#     nano33-a:                      # the name that --device and the results use
#       kind: nano33                 # `hil devices` lists the kinds
#       probe: "0240000034544e45"    # unique id of the debug probe, or, if it has no serial number,
#       # probe: "usb:1-1.2"         # where it is plugged in
#       port: {serial: "9A8B7C6D5E4F3021"}   # USB serial number of the serial port, or
#       # port: {location: "1-1.2"}          # where it is plugged in
#       tags: [bench]                # --device bench takes every device with this tag
devices: {}
"""
_GITIGNORE = """\
results/
.venv/
__pycache__/
.pytest_cache/
"""


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False), default=Path(), metavar="[DIR]")
@click.option("--model", type=FILE, metavar="MODEL.tflite", help="Begin with a suite of this model instead.")
@click.option(
    "--data",
    type=FILE,
    metavar="FILE|DIR",
    help="With --model: inputs and labels as .npz, .npy, .csv or .parquet, or a folder of images by class.",
)
@click.option(
    "--board", default="nano33", show_default=True, metavar="KIND", help="With --model: its image is for this."
)
def init(folder: Path, model: Path | None, data: Path | None, board: str) -> None:
    """Start a lab of your own in DIR (default: here): devices.yaml, a first suite, .gitignore.

    \b
    hil init lab
    hil init --model model.tflite --data test.npz

    With --model, the suite is one of your model, which runs as it is: what the model says is filled in, what only you
    know is marked. Without --data its inputs are random. The image, for one kind of board, lies in images/.
    Nothing that is there is overwritten.
    """  # noqa: D301 (click reads the \b)
    if model is None and data is not None:
        raise click.UsageError("--data goes with --model")
    contents = _shipped() if model is None else None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        fresh = _create(folder / "devices.yaml", _DEVICES.encode())
        written = [_create(folder / path, content) for path, content in (contents or {}).items()]
        ignored = _create(folder / ".gitignore", _GITIGNORE.encode())
        suite = "suites/" if model is None else _begin(folder, model, data, board)
    except OSError as error:
        raise StoreError(f"{error.filename or folder}: can't be written: {error.strerror}") from error
    click.echo(f"devices.yaml: {'written' if fresh else 'was there, left as it is'}")
    if contents is not None:
        kept = len(written) - sum(written)
        left = f", {kept} that were there left as they are" if kept else ""
        click.echo(f"suites and images: {sum(written)} files written{left}")
    click.echo(f".gitignore: {'written' if ignored else 'was there, left as it is'}")
    if fresh:
        _add_boards(folder / "devices.yaml")
    go = "" if folder.resolve() == folder.cwd() else f"cd {folder} && "
    click.echo(f"\nRun the first benchmark: {go}pytest {suite} --device {board}")


def _shipped() -> dict[Path, bytes]:
    root = starter_root()
    return {path: (root / path).read_bytes() for path in starter_files()}


def _begin(folder: Path, model: Path, data: Path | None, board: str) -> str:
    """Make an image of a model and a suite for it; return the suite's path in the folder.

    Raises:
        ConfigError: model or data are wrong, the model doesn't compile, or a suite of that name is there.
    """
    from harness.build.first_data import find_data
    from harness.build.first_suite import first_suite
    from harness.build.making import Making, compile_model, working_folder
    from harness.build.sources import target_for
    from harness.build.toolchain import find_toolchain
    from harness.cli.build import model_name
    from harness.config import Lab

    name = model_name(None, model.stem)
    suite, image = folder / "suites" / f"{name}.yaml", folder / "images" / board / f"{name}.elf"
    for path in (suite, image):
        if path.exists():
            raise ConfigError(f"{path} is there, and isn't overwritten; remove it, or give the model another name")
    if data is not None and not data.exists():
        raise ConfigError(f"{data}: there is no such file")
    lab = Lab.load(folder / "devices.yaml")
    target = target_for(lab.kind(board), lab.kinds, firmware_root().resolve())
    making = Making(target, find_toolchain(target.cross))
    click.echo(f"Compiling {model.name} for {board}, {making.toolchain.version}", err=True)
    suite.parent.mkdir(exist_ok=True)
    with working_folder() as work:
        made = compile_model(model, making, work / image.name, name)
        card = made.image.card
        found = None if data is None else find_data(data, card.input, suite.parent)
        text = first_suite(card, name, found, images="../images")
        image.parent.mkdir(parents=True, exist_ok=True)
        image.write_bytes((work / image.name).read_bytes())
    suite.write_text(text, encoding="utf-8")
    click.echo(f"{suite} and {image}: written. {made.checked}")
    return suite.relative_to(folder).as_posix()


def _create(path: Path, content: bytes) -> bool:
    """Write a file unless something has that name; say whether it was written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with path.open("xb") as file:
            file.write(content)
    except FileExistsError:
        return False
    return True


def _add_boards(devices: Path) -> None:
    """Write down the boards that are attached, as far as it is certain what they are."""
    from harness.cli.devices.adding import Attached, Wish, add_attached
    from harness.config import Lab

    attached = Attached.look()
    if not attached.probes:
        click.echo("No debug probe is attached: --device nano33 uses the virtual board.")
        return
    try:
        add_attached(Lab.load(devices), Wish())
    except ConfigError as error:
        click.echo(f"No board was added: {error}")
