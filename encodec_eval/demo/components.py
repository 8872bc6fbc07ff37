"""The page's own elements as Gradio components: arguments for `gr.HTML`."""

from pathlib import Path

from encodec_eval import player

_FOLDER = Path(__file__).parent
HEAD = f"<style>{(_FOLDER / 'demo.css').read_text(encoding='utf-8')}</style>"  # of the page around them
_FOLLOW_THEME = """
const themed = element.querySelector("sync-player, blind-test, clip-input");
const theme = () => { themed.style.colorScheme = document.body.classList.contains("dark") ? "dark" : "light"; };
new MutationObserver(theme).observe(document.body, { attributes: true, attributeFilter: ["class"] });
theme();
"""
# The page has two states, with a clip and without, which CSS tells apart by classes of `body`.
_FOLLOW_VALUE = """
const player = element.querySelector("sync-player");
const page = document.body.classList;
const show = () => {
  const value = props.value || {};
  const versions = value.versions || [];
  const came = versions.length > 0 && value.run !== element.run;
  element.run = value.run;
  player.versions = versions.map((version) => ({ url: version.audio && version.audio.url, ...version }));
  page.toggle("has-clip", versions.length > 0);
  page.toggle("nothing-to-compare", value.compared === false);
  const name = element.querySelector(".clip strong");
  if (name) name.textContent = value.title || "";
  if (came && innerWidth < 700) element.scrollIntoView({ block: "start", behavior: "smooth" });
};
show();
watch("value", show);
element.querySelector(".clip button")?.addEventListener("click", () => {
  player.pause();
  page.remove("has-clip");
  scrollTo({ top: 0 });
  document.querySelector("#examples button")?.focus();
  trigger("clear");
});
"""
_SEND = """
const input = element.querySelector("clip-input");
input.send = async (file) => {
  const { path } = await upload(file);
  props.value = { path, orig_name: file.name, meta: { _type: "gradio.FileData" } };
  trigger("upload");
};
"""


def blind_script() -> str:
    """JavaScript that defines the elements `<sync-player>` and `<blind-test>`: ABX and blind ranking."""
    files = [_FOLDER / "blind.js"]
    return player.script() + player.element("blind-test", "BlindTest", files, "BlindTest", _FOLDER / "blind.css")


def clip_input_script() -> str:
    """JavaScript that defines the element `<clip-input>`: choose, drop or record a clip."""
    return player.element(
        "clip-input", "ClipInput", [_FOLDER / "clip_input.js"], "ClipInput", _FOLDER / "clip_input.css"
    )


def player_arguments(attributes: str = "", with_name: bool = False) -> dict[str, str | bool]:
    """Arguments that make a `gr.HTML` this player: `gr.HTML(value={"versions": [...]}, **player_arguments())`.

    The value is `{"versions": [PlayerVersion, ...]}`. Give URLs that the browser can fetch, or instead of `url` a
    dumped `gr.FileData` as `audio`, but no data URLs: a value is compared whole at each update. A value with the same
    first version is the same clip and does not disturb what plays. `attributes` is put into the tag, as in
    `rate=48000`.
    `with_name` shows the value's `title` above, with a button for another clip, which triggers the event `clear`.
    """
    name = '<div class="clip"><strong></strong><button type="button">Change clip</button></div>' if with_name else ""
    return {
        "html_template": f"{name}<sync-player {attributes}></sync-player>",
        "js_on_load": player.script() + _FOLLOW_THEME + _FOLLOW_VALUE,
        "apply_default_css": False,
    }


def clip_input_arguments(max_s: float, max_mb: int, formats: str) -> dict[str, str | bool]:
    """Arguments that make a `gr.HTML` the input for clips. Its value is a dumped `gr.FileData`; event: `upload`."""
    return {
        "html_template": f'<clip-input max-seconds="{max_s:g}" max-mb="{max_mb}" formats="{formats}"></clip-input>',
        "js_on_load": clip_input_script() + _FOLLOW_THEME + _SEND + (_FOLDER / "access.js").read_text(encoding="utf-8"),
        "apply_default_css": False,
    }


def status_arguments() -> dict[str, str | bool]:
    """Arguments that make a `gr.HTML` a line that says what is being done; its button triggers `submit`, to cancel."""
    button = '{{#if value}}<button type="button">Cancel</button>{{/if}}'
    return {
        "html_template": f'<div class="line"><p role="status">{{{{value}}}}</p>{button}</div>',
        "js_on_load": 'element.onclick = ({ target }) => target.closest("button") && trigger("submit");',
        "apply_default_css": False,
    }


def blind_arguments(of: str, attributes: str = "") -> dict[str, str | bool]:
    """Arguments that make a `gr.HTML` the blind test of what is in the player that the CSS selector `of` names."""
    return {
        "html_template": f'<blind-test of="{of}" {attributes}></blind-test>',
        "js_on_load": blind_script() + _FOLLOW_THEME,
        "apply_default_css": False,
    }
