"""A board of which everything is known: what it draws, when, and for how long."""

import threading
import time
from types import SimpleNamespace

from harness.power.virtual.activity import Segment


class ScriptedBoard:
    """Stands for board and link: `infer` lets simulated time pass, at once; idle time is the host's."""

    def __init__(self, running_a, idle_a, inference_s=1e-3, *, sync_bit=1, hz=64_000_000, clock=1.0):
        self.running_a, self.idle_a = running_a, idle_a
        self.inference_s, self.sync_bit, self.hz, self.clock = inference_s, sync_bit, hz, clock
        self.info = SimpleNamespace(counter_hz=hz, max_batch=128, input_bytes=64)
        self.before_batch = lambda: None
        self.lock = threading.Lock()
        self.offset = -time.monotonic()
        self.recording = False
        self.list = [Segment(0.0, idle_a, 0)]

    @property
    def ticks(self):
        return self.inference_s * self.hz

    def infer(self, data, count=1):
        self.before_batch()
        with self.lock:
            start = self.offset + time.monotonic()
            self.offset += count * self.inference_s + 1e-3  # the answer and the next request take time
            self.list += [
                Segment(start, self.running_a, self.sync_bit),
                Segment(start + count * self.inference_s, self.idle_a, 0),
            ]
        return SimpleNamespace(ticks=(round(self.ticks * self.clock),) * count)

    def begin(self):
        self.recording = True

    def end(self):
        self.recording = False

    def now(self):
        with self.lock:
            return self.offset + time.monotonic()

    def segments(self, until_s):
        with self.lock:
            known = [segment for segment in self.list if segment.start_s <= until_s]
            self.list = self.list[len(known) - 1 :]
            return known


class BusyAfterwards(ScriptedBoard):
    """Its time stands still for a while after each batch, as a virtual board's does on a busy computer."""

    def infer(self, data, count=1):
        found = super().infer(data, count)
        with self.lock:
            self.offset -= 0.05
        return found
