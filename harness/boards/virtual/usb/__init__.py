"""The USB of the virtual board: the chip's USBD, and the computer at the other end of the cable."""
