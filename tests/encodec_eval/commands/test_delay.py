"""The command that measures delays."""

from encodec_eval.__main__ import main


def test_delays_are_written_as_tables(tmp_path, capsys):
    assert main(["delay", "--systems", "identity", "anchors", "--out", str(tmp_path)]) == 0
    table = capsys.readouterr().out.strip()
    assert table in (tmp_path / "delay.md").read_text()
    rows = (tmp_path / "delay.csv").read_text().splitlines()
    assert rows[1] == "identity,0.0,0.0,0.0,"
    name, ahead, late, delay, _ = rows[2].split(",")
    assert (name, late, ahead) == ("lowpass@3.5k", "0.0", delay)
    assert 4 < float(delay) < 4.3  # 200 taps to each side at 48 kHz
