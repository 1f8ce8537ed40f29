"""The independent witness: the kernel of Debian, in QEMU, drives the agent's USB on our model of the USBD.

Its drivers, not ours, enumerate the device and make /dev/ttyACM0 of it. The device reaches it over USB/IP; the bytes
of /dev/ttyACM0 reach the test over a connection, at whose other end is the harness's own link. Debian's kernel is
looked for at /, or in $HIL_LINUX, where its package may be unpacked.
"""

from __future__ import annotations

import lzma
import os
import shutil
import socket
import struct
import subprocess
from pathlib import Path

import pytest
from test_usb import lab  # noqa: F401 (a fixture)
from usbip import UsbipHost
from virtual_lab import conversation, running, wait_until

from engine.targets import compiler
from harness.boards.renode.stream import SocketStream
from harness.link.client import Link

pytestmark = [pytest.mark.slow, pytest.mark.usb_linux]
MODULES = ["usb-common", "usbcore", "usbip-core", "vhci-hcd", "cdc-acm", "e1000"]
INIT = """#!/bin/busybox sh
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sysfs /sys
/bin/busybox mount -t devtmpfs dev /dev
for module in {modules}; do /bin/busybox insmod /$module.ko; done
/bin/busybox ip link set lo up
/bin/busybox ip link set eth0 up
/bin/busybox ip addr add 10.0.2.15/24 dev eth0
/guest {ports}
/bin/busybox poweroff -f
"""


#: What a kernel needs no time for where nobody attacks it and its clock is made up.
ARGUMENTS = (
    "console=ttyS0 quiet panic=-1 mitigations=off no_timer_check tsc=reliable nosmp cryptomgr.notests apparmor=0"
)


def needed(name: str, found: str | Path | None) -> str:
    if found is None:
        pytest.skip(f"needs {name}: apt-get install qemu-system-x86 linux-image-amd64 busybox-static gcc libc6-dev")
    return str(found)


@pytest.fixture(scope="module")
def guest(tmp_path_factory):
    """Return what starts a guest, given the ports of the board and of the test."""
    qemu = needed("QEMU", shutil.which("qemu-system-x86_64"))
    busybox = Path(needed("busybox", shutil.which("busybox"))).read_bytes()
    boot = Path(os.environ.get("HIL_LINUX", "/"))
    kernels = sorted(boot.glob("boot/vmlinuz-*-amd64"))
    kernel = needed("Debian's kernel", kernels[-1] if kernels else None)
    modules = boot / "lib" / "modules" / Path(kernel).name.removeprefix("vmlinuz-")
    folder = tmp_path_factory.mktemp("guest")
    (folder / "kernel").write_bytes(unpacked(Path(kernel).read_bytes()))
    source = Path(__file__).with_name("usb_guest.c")
    build = [compiler("gcc"), "-static", "-O1", "-Wall", "-Wextra", "-Werror", source, "-o", folder / "guest"]
    if subprocess.run(build, check=False, capture_output=True).returncode:
        needed("a C compiler that links statically", None)

    def start(*ports):
        files = {"init": INIT.format(modules=" ".join(MODULES), ports=" ".join(map(str, ports))).encode()}
        files |= {"bin/busybox": busybox, "guest": (folder / "guest").read_bytes()}
        for name in MODULES:
            files[f"{name}.ko"] = next(modules.rglob(f"{name}.ko")).read_bytes()
        (folder / "initrd").write_bytes(archive(files))
        machine = ["-accel", "tcg", "-m", "256", "-nodefaults", "-no-reboot", "-display", "none", "-serial", "stdio"]
        boot = ["-kernel", folder / "kernel", "-initrd", folder / "initrd", "-append", ARGUMENTS]
        network = ["-netdev", "user,id=n", "-device", "e1000,netdev=n"]
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        return subprocess.Popen([qemu, *machine, *boot, *network], **pipes)

    return start


def unpacked(kernel):
    """Return the ELF file in a kernel, which QEMU starts as well: unpacking it costs a guest half of its time."""
    setup, (offset, size) = 512 * (kernel[0x1F1] + 1), struct.unpack_from("<II", kernel, 0x248)
    payload = kernel[setup + offset : setup + offset + size]
    if not payload.startswith(b"\xfd7zXZ"):  # packed otherwise: the guest unpacks it itself
        return kernel
    return lzma.LZMADecompressor().decompress(payload)


def archive(files):
    """Return files as the cpio archive ("newc") that the kernel unpacks, with the folders that it mounts on."""
    content = bytearray()
    folders = dict.fromkeys(("bin", "proc", "sys", "dev"), None)
    for number, (name, data) in enumerate({**folders, **files, "TRAILER!!!": b""}.items(), 1):
        mode = 0o40755 if data is None else 0o100755
        fields = (number, mode, 0, 0, 1, 0, len(data or b""), 0, 0, 0, 0, len(name) + 1, 0)
        content += b"070701" + b"".join(b"%08X" % field for field in fields) + name.encode() + b"\0"
        content += bytes(-len(content) % 4) + (data or b"")
        content += bytes(-len(content) % 4)
    return bytes(content)


def test_linux_enumerates_the_board_and_runs_the_protocol(guest, lab, pair):  # noqa: F811
    with running(lab["cable"], pair) as (board, ours), socket.create_server(("127.0.0.1", 0)) as listener:
        expected = conversation(ours)
        twin = board.twin
        with twin.machine.paused():
            twin.usb.detached()
            host = UsbipHost(twin)
        listener.settimeout(240)
        process = guest(host.port, listener.getsockname()[1])
        try:
            peer, _ = listener.accept()
            link = Link(SocketStream("guest", peer, lambda: ""), "guest")
            link.connect(after_reset=False)
            assert conversation(link) == expected
            assert link.counters.retransmissions == 0
            peer.close()  # the guest touches the port, and ends
            said = process.communicate(timeout=240)[0].decode(errors="replace")
        finally:
            process.kill()
        assert "touched" in said, said
        wait_until(lambda: twin.crash is not None)  # nothing is at 0, where the reset leads
        assert twin.machine.bus.clock_power.get(0x51C) == 0xB0
        assert {bytes((0x80, 6)), bytes((0x00, 9)), bytes((0x21, 0x20)), bytes((0x21, 0x22))} <= {
            request[:2] for request in host.requests
        }
