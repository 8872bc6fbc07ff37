"""The README's Python example prints what the README says."""

import re
import subprocess
import sys

from tests import ROOT


def test_the_example_prints_what_it_says(tmp_path):
    readme = (ROOT / "README.md").read_text()
    code, printed = re.search(r"```python\n(.*?)```\s+```text\n(.*?)```", readme, re.DOTALL).groups()
    (tmp_path / "encodec_eval").symlink_to(ROOT / "encodec_eval")
    script = f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{code}"
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == printed
    assert (tmp_path / "guitar_6kbps.wav").stat().st_size > 400_000
    assert len(code.strip().splitlines()) <= 12
