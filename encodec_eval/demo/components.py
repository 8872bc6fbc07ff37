"""The player and the blind tests as Gradio components: arguments for `gr.HTML`."""

from pathlib import Path

from encodec_eval import player

_FOLDER = Path(__file__).parent
CSS = _FOLDER / "demo.css"  # of the page around them
_FOLLOW_THEME = """
const player = element.firstElementChild;
const theme = () => { player.style.colorScheme = document.body.classList.contains("dark") ? "dark" : "light"; };
new MutationObserver(theme).observe(document.body, { attributes: true, attributeFilter: ["class"] });
theme();
"""
_FOLLOW_VALUE = """
const show = () => {
  const versions = (props.value && props.value.versions) || [];
  player.versions = versions.map((version) => ({ url: version.audio && version.audio.url, ...version }));
};
show();
watch("value", show);
"""


def blind_script() -> str:
    """JavaScript that defines the elements `<sync-player>` and `<blind-test>`: ABX and blind ranking."""
    files = [_FOLDER / "blind.js"]
    return player.script() + player.element("blind-test", "BlindTest", files, "BlindTest", _FOLDER / "blind.css")


def player_arguments(attributes: str = "") -> dict[str, str | bool]:
    """Arguments that make a `gr.HTML` this player: `gr.HTML(value={"versions": [...]}, **player_arguments())`.

    The value is `{"versions": [Version, ...]}`. Give URLs that the browser can fetch, or instead of `url` a dumped
    `gr.FileData` as `audio`, but no data URLs: a value is compared whole at each update. A value with the same first
    version is the same clip and does not disturb what plays. `attributes` is put into the tag, as in `rate=48000`.
    """
    return {
        "html_template": f"<sync-player {attributes}></sync-player>",
        "js_on_load": player.script() + _FOLLOW_THEME + _FOLLOW_VALUE,
        "apply_default_css": False,
    }


def blind_arguments(of: str, attributes: str = "") -> dict[str, str | bool]:
    """Arguments that make a `gr.HTML` the blind test of what is in the player that the CSS selector `of` names."""
    return {
        "html_template": f'<blind-test of="{of}" {attributes}></blind-test>',
        "js_on_load": blind_script() + _FOLLOW_THEME,
        "apply_default_css": False,
    }
