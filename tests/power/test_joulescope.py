"""The adapter against a made-up driver: no Joulescope was there to check it with."""

import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest

from harness.errors import PowerError
from harness.power.joulescope import Joulescope, _Signal
from harness.power.judge import Plan
from harness.power.virtual.activity import resample
from harness.power.windows import Job, measure
from power.scripted import ScriptedBoard

RATE = 100_000
PATH = "u/js220/001234"


class FakeDriver:
    """Publishes what pyjoulescope_driver does, from a thread of its own: levels eight to a byte, numbers at 2 MHz."""

    def __init__(self, board=None, paths=(PATH,), skip=lambda _number: False):
        self.board, self.paths, self.skip = board, paths, skip
        self.published, self.subscribed = {}, {}
        self.thread, self.running = None, False

    def device_paths(self):
        return list(self.paths)

    def open(self, path, mode):
        self.published["open"] = (path, mode)

    def close(self, path):
        self.published["closed"] = path

    def finalize(self):
        self.running = False

    def publish(self, topic, value):
        self.published[topic] = value
        on = [self.published.get(f"{PATH}/s/{signal}/ctrl") for signal in ("i", "v", "gpi/2")]
        if on == [1, 1, 1] and not self.running:
            self.running = True
            self.board.begin()
            self.thread = threading.Thread(target=self.run, daemon=True)
            self.thread.start()
        elif on[0] == 0 and self.running:
            self.running = False
            self.thread.join()

    def subscribe(self, topic, flags, function):
        assert flags == "pub"
        self.subscribed[topic] = function

    def unsubscribe(self, topic, function):
        assert self.subscribed.pop(topic) == function

    def run(self):
        began, sent, last = self.board.now(), 0, False
        while not last:
            time.sleep(0.005)
            last = not self.running  # what came up to its end is handed over, too
            count = int((self.board.now() - began) * RATE) - sent
            if count < 16:
                continue
            edges = began + (sent + np.arange(count + 1)) / RATE
            current, logic = resample(self.board.segments(edges[-1]), edges)
            packed = np.packbits(logic, bitorder="little")
            for signal, data in (("i", current), ("v", np.full(count, 2.5)), ("gpi/2", packed)):
                topic = f"{PATH}/s/{signal}/!data"
                value = {"sample_id": 20 * sent, "decimate_factor": 20, "data": data.astype(np.float32)}
                if signal == "gpi/2":
                    value["data"] = data
                if topic in self.subscribed and not self.skip(sent):
                    self.subscribed[topic](topic, value)
            sent += count


def windows(driver, board, plan):
    scope = Joulescope(driver, None, 2.5, RATE, 2)
    try:
        found, error = measure(scope, Job(board.infer, board.info, [b""], board.ticks), plan, 2)
    finally:
        scope.close()
    if error is not None:
        raise error
    return found


def test_energy_is_within_a_percent_of_the_truth():
    board = ScriptedBoard(3e-3, 1e-4)
    driver = FakeDriver(board)
    found = windows(driver, board, Plan(window_s=0.2, windows=3, idle_s=0.1))
    assert [window.problem for window in found] == [""] * 3
    for window in found:
        assert window.energy_uj == pytest.approx(1e6 * 2.5 * 3e-3 * 1e-3, rel=0.01)
        assert window.capture.voltage_v == pytest.approx(2.5)
    assert driver.published["open"] == (PATH, "defaults")
    assert driver.published[f"{PATH}/h/fs"] == RATE
    assert driver.published["closed"] == PATH
    assert not driver.subscribed


def test_skipped_numbers_are_lost_samples():
    board = ScriptedBoard(3e-3, 1e-4)
    scope = Joulescope(FakeDriver(board), None, 2.5, RATE, 2)
    for signal, size in (("i", 1), ("v", 1), ("gpi/2", 8)):
        scope._signals.setdefault(f"{PATH}/s/{signal}", _Signal(RATE))
        for number in (0, 64):
            value = {"sample_id": 20 * number, "decimate_factor": 20, "data": np.ones(32 // size, np.uint8)}
            scope._on_data(f"{PATH}/s/{signal}/!data", value)
    scope._collect()
    chunk = scope._chunk()
    assert (len(chunk), chunk.lost.sum()) == (96, 32)
    assert chunk.lost[32:64].all()


def test_levels_that_come_after_the_next_piece_of_current_stay_in_their_places():
    scope = Joulescope(FakeDriver(ScriptedBoard(3e-3, 1e-4)), None, 2.5, RATE, 2)
    scope._signals = {f"{PATH}/s/{signal}": _Signal(RATE) for signal in ("i", "v", "gpi/2")}
    sizes, chunks = (19, 21, 18, 30), []

    def publish(signal, piece):
        number, count = sum(sizes[:piece]), sizes[piece]
        levels = np.arange(number, number + count) % 3 == 0
        data = np.packbits(levels, bitorder="little") if signal == "gpi/2" else np.full(count, 2.5)
        value = {"sample_id": 20 * number, "decimate_factor": 20, "data": data}
        scope._on_data(f"{PATH}/s/{signal}/!data", value)
        scope._collect()
        chunks.append(scope._chunk())

    for signal in ("i", "v", "gpi/2"):
        publish(signal, 0)
    for piece in range(1, len(sizes)):
        for signal in ("i", "v"):
            publish(signal, piece)
        publish("gpi/2", piece)
    logic = np.concatenate([chunk.logic for chunk in chunks if chunk is not None])
    assert (logic > 0).tolist() == (np.arange(sum(sizes)) % 3 == 0).tolist()


def streamed(*parts):
    """What becomes of such pieces of current: (number of the first sample, samples)."""
    scope = Joulescope(FakeDriver(ScriptedBoard(3e-3, 1e-4)), None, 2.5, RATE, 2)
    scope._signals = {f"{PATH}/s/{signal}": _Signal(RATE) for signal in ("i", "v", "gpi/2")}
    for number, current in parts:
        shape = {"sample_id": 20 * number, "decimate_factor": 20}
        scope._on_data(f"{PATH}/s/i/!data", {**shape, "data": np.array(current)})
        scope._on_data(f"{PATH}/s/v/!data", {**shape, "data": np.full(len(current), 2.5)})
        scope._on_data(f"{PATH}/s/gpi/2/!data", {**shape, "data": np.zeros(len(current) // 8, np.uint8)})
    scope._collect()
    return scope._chunk()


def test_a_number_that_jumps_invents_no_samples():
    with pytest.raises(PowerError, match=r"Joulescope 001234: the samples' numbers jump by \d+, from 8 to"):
        streamed((0, [1e-3] * 8), (2**40, [1e-3] * 8))


def test_what_the_driver_lost_counts_as_lost_and_not_as_no_current():
    chunk = streamed((0, [1e-3, np.nan, 3e-3, 3e-3, 3e-3, 3e-3, 3e-3, 3e-3]))
    assert chunk.lost.tolist() == [False, True, *[False] * 6]
    assert chunk.current_a[1] == pytest.approx(2e-3)
    assert chunk.over_range == 0


def test_reversed_leads_are_no_energy():
    board = ScriptedBoard(-3e-3, -1e-4)
    with pytest.raises(PowerError, match="are the leads swapped"):
        windows(FakeDriver(board), board, Plan(window_s=0.2, windows=3, idle_s=0.1))


def test_the_right_one_is_chosen():
    driver = FakeDriver(paths=("u/js220/000001", "u/js110/000002"))
    assert Joulescope(driver, "000002", 3.0, RATE, 0).info.serial == "000002"
    with pytest.raises(PowerError, match=r"2 Joulescopes could be meant .* say which one"):
        Joulescope(driver, None, 3.0, RATE, 0)
    with pytest.raises(PowerError, match="no Joulescope 000009 is attached"):
        Joulescope(driver, "000009", 3.0, RATE, 0)
    with pytest.raises(PowerError, match="there are: none"):
        Joulescope(FakeDriver(paths=()), None, 3.0, RATE, 0)


def test_a_setting_that_it_refuses_is_named():
    def refuse(_topic, _value):
        raise RuntimeError("timed out")

    driver = SimpleNamespace(device_paths=lambda: [PATH], open=lambda *_: None, publish=refuse)
    with pytest.raises(PowerError, match=r"Joulescope 001234: it can't be set to 100000 .*timed out"):
        Joulescope(driver, None, 3.0, RATE, 0)
