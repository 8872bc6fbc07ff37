"""The page as `ENCODEC_PAGE=SITE python app.py` serves it: from the app's link to a clip coded in the browser."""

from pathlib import Path

import pytest

import codec
from tests.app.test_served import started
from tests.encodec_eval.page.conftest import TINY

pytestmark = [pytest.mark.slow, pytest.mark.browser]


def test_the_app_leads_to_a_page_that_codes_a_clip_on_the_device(page, site, clip, tmp_path):
    (tmp_path / "temporary").mkdir()
    with started(tmp_path / "temporary", ENCODEC_PAGE=str(site)) as (url, _):
        page.goto(url)
        page.get_by_role("button", name="Run it on your device").click()
        with page.expect_popup() as popup:
            page.get_by_role("link", name="Open the page that codes on your device").click()
        device = popup.value
        page.close()  # it listens to the app, which it would miss
        assert device.url == f"{url}/device/"
        device.get_by_text("Ready: open").wait_for(timeout=60_000)
        assert device.locator("#live").is_enabled()
        device.context.set_offline(True)
        device.locator("#clip").set_input_files(clip[0])
        device.get_by_text("encoded and decoded here in").wait_for(timeout=90_000)
        with device.expect_download() as download:
            device.locator("#files a").nth(2).click()
        audio, _ = codec.decompress(Path(download.value.path()).read_bytes(), codec.load_model(TINY))
    assert audio.shape == clip[1].shape
