"""The MPU of a Cortex-M7, as far as it says what the data cache may hold (Armv7-M manual, B3.5)."""

from __future__ import annotations

TYPE, CTRL, RNR, RBAR, RASR = 0xD90, 0xD94, 0xD98, 0xD9C, 0xDA0
_ENABLE, _IN_HARDFAULT, _BACKGROUND = 1, 2, 4  # of CTRL: HFNMIENA and PRIVDEFENA
_FULL_ACCESS, _XN, _SUBREGIONS = 3, 1 << 28, 0xFF00
_CACHED_BY_DEFAULT = ((0x00000000, 0x40000000), (0x60000000, 0xA0000000))


class Mpu:
    """Regions that may refuse nothing: whoever is refused would not be, here."""

    def __init__(self, regions: int) -> None:
        self._count = regions
        self.reset()

    def reset(self) -> None:
        """Switch it off."""
        self._control = self._number = 0
        self._regions = [(0, 0)] * self._count  # RBAR, RASR

    def read(self, offset: int) -> int:
        """Return a register, by its offset from 0xE000E000."""
        base, attributes = self._regions[self._number]
        return {
            TYPE: self._count << 8,
            CTRL: self._control,
            RNR: self._number,
            RBAR: base | self._number,
            RASR: attributes,
        }[offset]

    def write(self, offset: int, value: int) -> str | None:
        """Write a register; return what of it isn't modelled, if anything."""
        base, attributes = self._regions[self._number]
        if offset == CTRL:
            self._control = value & 7
        elif offset == RNR:
            self._number = value % self._count
        elif offset == RBAR:
            if value & 0x10:  # VALID: names the region, too
                self._number = (value & 0xF) % self._count
                attributes = self._regions[self._number][1]
            self._regions[self._number] = value & ~0x1F, attributes
        elif offset == RASR:
            self._regions[self._number] = base, value
        return self._refuses()

    def _refuses(self) -> str | None:
        if not self._control & _ENABLE:
            return None
        used = [attributes for _, attributes in self._regions if attributes & 1]
        if not self._control & _BACKGROUND:
            return "the firmware switches on the MPU without PRIVDEFENA: that it refuses accesses isn't modelled"
        if any(each >> 24 & 7 != _FULL_ACCESS or each & (_XN | _SUBREGIONS) for each in used):
            return "the firmware has the MPU refuse accesses, or part regions: that isn't modelled"
        return None

    def cacheable(self, address: int, size: int, *, in_hardfault: bool) -> bool:
        """Tell whether the data cache may hold any of [address, address + size), once it is on."""
        on = self._control & _ENABLE and (self._control & _IN_HARDFAULT or not in_hardfault)
        for base, attributes in reversed(self._regions):  # that of the highest number counts
            length = 2 << (attributes >> 1 & 0x1F)
            if on and attributes & 1 and base <= address < base + length:
                inside = address + size <= base + length
                return not inside or bool(attributes >> 17 & 1) or attributes >> 19 & 7 >= 4  # TEX
        return any(address < end and begin < address + size for begin, end in _CACHED_BY_DEFAULT)
