"""The nRF52840: its peripherals, where each is, its interrupt and registers; the nRF52833 has the same but for a few.

Each peripheral has a chapter "Registers" in the nRF52840 product specification, with offsets, access and reset values;
base addresses and interrupts are in the chapter "Instantiation". The notation is that of `registers`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

from harness.boards.virtual.chips.registers import Layout, parse_layout

_LAYOUTS = {
    "CLOCK": "t:000,008,010-014 s:004,00C,018 e:100-104,10C-110,128-12C w:304-308,518,538,55C,5B4 w:528=10 "
    "r:408-40C,414-41C x:304=60",
    "POWER": "s:078-07C e:108,114-124 w:400,510,51C-520,578-580/8 w:900-980/10=FFFF r:428,438,640 "
    "o:500,904-984/10,908-988/10",
    "RADIO": "t:000-008,014,01C,024,02C s:00C-010,018,020,028,030 e:100-11C,128,130-15C,16C "
    "w:200,304-308,504,50C-53C,544,560,600-648,664-66C w:508=2 w:554=40 w:650=200 w:660=A7 w:FFC=1 "
    "r:400,408-414,548-550/8",
    "UART": "t:000,008 s:004,00C,01C e:100-108,11C,124,144 w:200,304-308,480,500,56C w:508-514=FFFFFFFF "
    "w:524=4000000 r:518 o:51C",
    "UARTE": "t:000,008 s:004,00C,02C e:100-108,110,11C-124,144,14C-150,158 "
    "w:200,300-308,480,500,534-538,544-548,56C w:508-514=FFFFFFFF w:524=4000000 r:53C,54C",
    "SPI": "e:108 w:304-308,500,51C,554 w:508-510=FFFFFFFF w:524=4000000 r:518 x:51C",
    "SPIM": "t:010,020 s:014,01C e:104,110-120/8,14C w:200,304-308,400,500,534-538,540-548,550-554,568,570,5C0 "
    "w:508-514,56C=FFFFFFFF w:524=4000000 w:560-564=2 r:53C,54C",
    "SPIS": "t:024 s:028 e:104,110,128 w:200,304-308,440,500,534-538,544-548,554,55C,5C0 w:508-514=FFFFFFFF "
    "r:400=1 r:53C,54C",
    "TWI": "t:000,008,020 s:014,01C e:104-108,11C,124,138,148 w:200,304-308,4C4,500,51C,588 w:508-50C=FFFFFFFF "
    "w:524=4000000 r:518",
    "TWIM": "t:000,008,020 s:014,01C e:104,124,148-150,15C-160 w:200,300-308,4C4,500,534-538,540-548,550,588 "
    "w:508-50C=FFFFFFFF w:524=4000000 r:53C,54C",
    "TWIS": "t:020,030-034 s:014,01C e:104,124,14C-150,164-168 w:200,300-308,4D0,500,534-538,544-548,588-58C,5C0 "
    "w:508-50C=FFFFFFFF w:594=1 r:4D4,53C,54C",
    "NFCT": "t:000,008-00C,01C s:004,024-028 e:100-11C,128-130,138,148-150 "
    "w:200,300-308,404,40C,510-514,51C,594-598,5A4 w:504=480 w:508=1000 w:50C,5A0=1 w:518=17 w:520=15 w:590=6363 "
    "w:59C=2 r:410,420,43C,524",
    "GPIOTE": "t:000-01C,030-04C,060-07C e:100-11C,17C w:304-308,510-52C",
    "SAADC": "t:000-004,00C s:008 e:100-154 w:300-308,500,510-580/10,514-584/10,5F4-5F8,62C-630 "
    "w:518-588/10=20000 w:51C-58C/10=7FFF8000 w:5F0=1 r:400,634",
    "TIMER": "t:000,008-00C,040-054 s:004,010 e:140-154 w:200,304-308,504-508,540-554 w:510=4",
    "RTC": "t:000,008-00C s:004 e:100-104,140-14C w:304-308,340-348,508,540-54C r:504",
    "TEMP": "t:000 s:004 e:100 w:304-308,564 w:520=326 w:524=348 w:528=3AA w:52C=40E w:530=4BD w:534=5A3 "
    "w:540=3FEF w:544-548=3FBE w:54C=12 w:550=124 w:554=27C w:560=E2 w:568=19 w:56C=3C w:570=50 r:508",
    "RNG": "t:000 s:004 e:100 w:200,304-308,504 r:508",
    "ECB": "t:000 s:004 e:100-104 w:304-308,504",
    "AAR": "t:000 s:008 e:100-108 w:304-308,500,508,510-514 w:504=1 r:400",
    "CCM": "t:000-004,00C s:008 e:100-108 w:200,304-308,500,508-514,51C w:504=1 w:518=FB r:400",
    "WDT": "t:000 e:100 w:304-308 w:504=FFFFFFFF w:508-50C=1 r:400 r:404=1 o:600-61C",
    "QDEC": "t:000,008-010 s:004 e:100-110 w:200,304-308,500-508,510,528 w:51C-524=FFFFFFFF w:540=10 "
    "r:50C,514-518,544-548",
    "COMP": "t:000,008 s:004 e:100-10C w:200,300-308,500-504,50C,530-538 w:508=4 r:400",
    "LPCOMP": "t:000,008 s:004 e:100-10C w:200,304-308,500-504,50C,520,538 w:508=4 r:400",
    "EGU": "t:000-03C e:100-13C w:300-308",
    "SWI": "",
    "PWM": "t:008-010 s:004 e:104-11C w:200,300-308,500-504,50C-514,520-524,52C,540-544,54C w:508=3FF w:528,548=1 "
    "w:560-56C=FFFFFFFF",
    "PDM": "t:000 s:004 e:100-108 w:300-308,500,508,520,560-564 w:504=8400000 w:518-51C=28 w:540-544=FFFFFFFF",
    "ACL": "w:800-870/10,804-874/10,808-878/10",
    "NVMC": "w:504-518,540,548-54C w:51C=A r:400=1 r:408 x:540=100",
    "PPI": "t:000-02C w:500-508,510-5AC,800-814,910-98C",
    "MWU": "e:100-11C,160-16C w:300-308,320-328,400-40C,510-518,600-630/10,604-634/10,6C8-6D8/10 "
    "r:6C0-6D0/10,6C4-6D4/10 x:510-514=FFFFFFFF",
    "I2S": "t:000 s:004 e:104-108,114 w:300-308,500-508,520-528,538-540/8,550 w:50C-510,51C=1 w:514=20000000 "
    "w:518=6 w:560-570=FFFFFFFF",
    "FPU": "",
    "USBD": "t:004-058 s:05C e:100-160 w:200,300-308,400,468-46C,4A0-4BC,500-508,51C,52C-530 "
    "w:600-6A0/14,604-6A4/14,700-7A0/14,704-7A4/14 w:50C=100 w:510-514=1 "
    "r:420-43C,444-460,470,480-49C,520,608-6A8/14,708-7A8/14 r:4C0=10000 o:518",
    "QSPI": "t:000-00C s:010 e:100 w:300-308,500-520,540-544,638-63C w:524-528,530-53C,614=FFFFFFFF w:600=40480 "
    "w:624=B7 w:634=2000 w:640=200 r:604 x:634",
    "P": "w:504-50C,514-524,804-80C,814-824 w:700-77C,A00-A7C=2 r:510,810",  # P0, and P1 0x300 above
    "WORKAROUNDS": "",  # at a page that the specification doesn't know
    "CRYPTOCELL": "w:500",
    "CC_HOST_RGF": "w:A38,A4C-A50 w:A60=2 o:A54-A5C",  # begins a page earlier than its first register
}


@dataclass(frozen=True)
class Page:
    """4 KB of addresses, and the peripherals that share them.

    Attributes:
        base: address of its first register.
        irq: number of its interrupt; None if it has none.
        names: of the peripherals, the one whose registers count first at first.
    """

    base: int
    irq: int | None
    names: tuple[str, ...]

    @cached_property
    def layout(self) -> Layout:
        """Their registers."""
        return parse_layout(*(_LAYOUTS[re.sub(r"\d+$", "", name)] for name in self.names))


def _pages() -> dict[int, Page]:
    # Where the interrupt isn't told, its number is the one in the address.
    box = "SPIM{0} SPI{0} SPIS{0} TWIM{0} TWI{0} TWIS{0}"
    names = {
        0x00: "CLOCK POWER", 0x01: "RADIO", 0x02: "UARTE0 UART0", 0x03: box.format(0), 0x04: box.format(1),
        0x05: "NFCT", 0x06: "GPIOTE", 0x07: "SAADC", 0x08: "TIMER0", 0x09: "TIMER1", 0x0A: "TIMER2", 0x0B: "RTC0",
        0x0C: "TEMP", 0x0D: "RNG", 0x0E: "ECB", 0x0F: "CCM AAR", 0x10: "WDT", 0x11: "RTC1", 0x12: "QDEC",
        0x13: "COMP LPCOMP", 0x14: "EGU0 SWI0", 0x15: "EGU1 SWI1", 0x16: "EGU2 SWI2", 0x17: "EGU3 SWI3",
        0x18: "EGU4 SWI4", 0x19: "EGU5 SWI5", 0x1A: "TIMER3", 0x1B: "TIMER4", 0x1C: "PWM0", 0x1D: "PDM",
        0x1E: "NVMC ACL", 0x1F: "PPI", 0x20: "MWU", 0x21: "PWM1", 0x22: "PWM2", 0x23: "SPIM2 SPI2 SPIS2",
        0x24: "RTC2", 0x25: "I2S", 0x26: "FPU", 0x27: "USBD", 0x28: "UARTE1", 0x29: "QSPI", 0x2D: "PWM3", 0x2F: "SPIM3",
    }  # fmt: skip
    without_interrupt = (0x1E, 0x1F)
    pages = [
        Page(0x40000000 + (number << 12), None if number in without_interrupt else number, tuple(text.split()))
        for number, text in names.items()
    ]
    pages += [
        Page(0x50000000, None, ("P0",)),
        Page(0x5002A000, 42, ("CRYPTOCELL",)),
        Page(0x5002B000, None, ("CC_HOST_RGF",)),
    ]
    return {page.base: page for page in pages}


PAGES = _pages()
#: Undocumented registers of the USB device, which Nordic's workarounds for its anomalies write.
WORKAROUNDS = Page(0x4006E000, None, ("WORKAROUNDS",))

_TIMER0, _RTC0, _RADIO, _AAR, _CCM = 0x40008000, 0x4000B000, 0x40001000, 0x4000F000, 0x4000F000
FIXED_CHANNELS = (  # PPI channels 20 to 31, which are wired: event and task (chapter PPI, "Pre-programmed channels")
    (_TIMER0 + 0x140, _RADIO + 0x000),
    (_TIMER0 + 0x140, _RADIO + 0x004),
    (_TIMER0 + 0x144, _RADIO + 0x010),
    (_RADIO + 0x128, _AAR + 0x000),
    (_RADIO + 0x100, _CCM + 0x000),
    (_RADIO + 0x104, _CCM + 0x004),
    (_RADIO + 0x104, _TIMER0 + 0x044),
    (_RADIO + 0x10C, _TIMER0 + 0x048),
    (_RTC0 + 0x140, _RADIO + 0x000),
    (_RTC0 + 0x140, _RADIO + 0x004),
    (_RTC0 + 0x140, _TIMER0 + 0x00C),
    (_RTC0 + 0x140, _TIMER0 + 0x000),
)
