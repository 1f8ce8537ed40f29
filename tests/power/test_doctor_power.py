from types import SimpleNamespace

from harness.cli.doctor.host import power_findings
from harness.config import Lab
from harness.power.ppk2 import USB_ID


def findings(tmp_path, text, *serials):
    ports = [
        SimpleNamespace(
            vid=USB_ID[0], pid=USB_ID[1], serial_number=serial, location=f"1-{n}", device=str(tmp_path / f"tty{n}")
        )
        for n, serial in enumerate(serials)
    ]
    for port in ports:
        (tmp_path / port.device).touch()
    path = tmp_path / "devices.yaml"
    path.write_text(f"devices: {{{text}}}\n")
    return list(power_findings(Lab.load(path), ports))


def test_no_monitor_is_no_problem(tmp_path):
    (found,) = findings(tmp_path, "")
    assert (found.state, found.what) == ("optional", "Power monitor")
    assert "energy columns stay empty" in found.text


def test_an_attached_monitor_without_a_device_is_pointed_out(tmp_path):
    (found,) = findings(tmp_path, "", "AAAA")
    assert "ppk2 AAAA attached, but no device" in found.text


def test_a_configured_monitor_is_looked_for(tmp_path, monkeypatch):
    device = 'a: {kind: nano33, power: {monitor: ppk2, serial: "AAAA", voltage_v: 3.3, sync_input: 2}}'
    (found,) = findings(tmp_path, device, "AAAA")
    assert (found.state, found.what) == ("ok", "Power monitor of a")
    assert found.text == f"ppk2 AAAA at {tmp_path}/tty0, sync pin on D2"
    (found,) = findings(tmp_path, device, "BBBB")
    assert found.state == "problem"
    assert "no ppk2 AAAA is attached" in found.text
    monkeypatch.setattr("os.access", lambda *_: False)
    (found,) = findings(tmp_path, device, "AAAA")
    assert found.state == "problem"
    assert found.text.startswith(f"no permission for ppk2 AAAA at {tmp_path}/tty0: sudo cp ")


def test_a_simulated_monitor_is_said_to_measure_nothing(tmp_path):
    (found,) = findings(tmp_path, "a: {kind: nano33, power: {monitor: ppk2, simulated: true, voltage_v: 3}}")
    assert "measures nothing" in found.text


def test_a_lab_that_can_not_be_read_is_another_findings_matter():
    (found,) = power_findings(None, [])
    assert found.state == "optional"
