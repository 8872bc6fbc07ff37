"""The looks of the page: colours that keep a contrast of 4.5 or more in both themes."""

import gradio as gr

ACCENT, ACCENT_DARK = "#0b6a6f", "#56c4c0"
THEME = gr.themes.Base(
    primary_hue=gr.themes.colors.teal,
    neutral_hue=gr.themes.colors.slate,
    font=["system-ui", "sans-serif"],
    font_mono=["ui-monospace", "monospace"],
).set(
    body_background_fill_dark="#0c1014",
    block_background_fill_dark="#1a2028",
    border_color_primary_dark="#3a4450",
    body_text_color_subdued="#5b6675",
    body_text_color_subdued_dark="#9ba8b8",
    block_info_text_color="#5b6675",
    block_label_text_color="#4a5462",
    block_title_text_color="#4a5462",
    button_primary_background_fill=ACCENT,
    button_primary_background_fill_hover="#0d7d83",
    button_primary_background_fill_dark=ACCENT_DARK,
    button_primary_background_fill_hover_dark="#74d3cf",
    button_primary_text_color_dark="#0d1518",
    checkbox_background_color_selected=ACCENT,
    checkbox_background_color_selected_dark=ACCENT_DARK,
    checkbox_label_background_fill="transparent",
    checkbox_label_background_fill_dark="transparent",
    checkbox_label_border_color="*border_color_primary",
    color_accent=ACCENT,
)
