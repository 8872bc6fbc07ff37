"""Does the app give its page and one reconstruction? Usage: check_app.py ADDRESS, in a clone"""

import sys
import tempfile
import urllib.request
from pathlib import Path

import gradio_client
import soundfile as sf

address = sys.argv[1]
clip = sorted(Path("encodec_eval/data/clips-48k").glob("*.flac"))[0]
with urllib.request.urlopen(address) as page:
    assert b"gradio" in page.read().lower(), f"{address} serves no page of Gradio"
with tempfile.TemporaryDirectory() as folder:
    client = gradio_client.Client(address, download_files=folder, verbose=False)
    model = client.predict(api_name="/models")[0]
    rows, wavs = client.predict(gradio_client.handle_file(str(clip)), model, api_name="/reconstruct")
    assert len(rows) == len(wavs) > 1, f"{len(rows)} rows and {len(wavs)} files for one clip"
    wanted = sf.info(str(clip)).duration
    for row, wav in zip(rows, wavs, strict=True):
        found = sf.info(wav).duration
        assert abs(found - wanted) < 0.1, f"{row}: {found} s for a clip of {wanted} s"
    print(f"{address}: {clip.name} by {model} at {', '.join(str(row['nominal_kbps']) for row in rows)} kbps")
