"""The app's functions for programs: endpoints of `gradio_client` and tools of MCP."""

from pathlib import Path
from typing import Any

from encodec_eval.demo import models as offered
from encodec_eval.demo import store
from encodec_eval.demo.api import shortened
from encodec_eval.demo.coding import ERRORS, every_bandwidth, on_gpu, plain_messages, to_gradio_error
from encodec_eval.demo.coding import open_ecdc as open_file
from encodec_eval.demo.helpers import entropy_coded
from encodec_eval.demo.session import Session, load_clip
from encodec_eval.demo.settings import MAX_CLIP_S, Source


def reconstruct(clip: str, model: str) -> tuple[list[dict[str, object]], list[str]]:
    """Encode and decode an audio clip at every bandwidth of an EnCodec model and measure what that costs and loses.

    Args:
        clip: the audio file: mono or stereo, WAV, FLAC, OGG, Opus, MP3 or AIFF.
        model: one of the names that /models returns.

    Returns:
        One row of numbers for each bandwidth, and as many WAV files in the same order.
    """
    with plain_messages():
        *_, session = every_bandwidth(_file(clip, "clip"), _text(model, "model"), [])
    return session.rows(), _hand_over(session, *(version.wav for version in session.versions))


@on_gpu
def encode(clip: str, model: str, bandwidth: float, language_model: bool) -> str:
    """Compress an audio clip to an .ecdc file.

    Args:
        clip: the audio file: mono or stereo, WAV, FLAC, OGG, Opus, MP3 or AIFF.
        model: one of the names that /models returns.
        bandwidth: in kbps, one of the model's.
        language_model: whether to make the file smaller with the model's language model.

    Returns:
        The .ecdc file.
    """
    with plain_messages():
        source, model = _file(clip, "clip"), _text(model, "model")
        if isinstance(bandwidth, bool) or not isinstance(bandwidth, int | float):
            raise to_gradio_error(f"bandwidth is {shortened(bandwidth)}: expected a number of kbps")
        if not isinstance(language_model, bool):
            raise to_gradio_error(f"language_model is {shortened(language_model)}: expected true or false")
        session = store.new_session(model, source.name)
        try:
            audio, sample_rate = load_clip(source.path, MAX_CLIP_S)
            encodec = offered.system(model, (float(bandwidth),))
            for output in encodec.outputs(audio, sample_rate, encodec.points):
                session.add(output, audio.shape[-1] / sample_rate)
            version = session.versions[0]
            if language_model:
                session.add_entropy_coded(version, entropy_coded(*version.to_entropy_code(encodec.model)))
        except ERRORS as error:
            store.forget(session)
            raise to_gradio_error(error, source.path) from error
    made = version.entropy_coded or version.coded
    assert made is not None
    return _hand_over(session, made)[0]


def decode(ecdc: str) -> str:
    """Decode an .ecdc file of one of the models that /models returns.

    Args:
        ecdc: the .ecdc file.

    Returns:
        The audio as a WAV file.
    """
    with plain_messages():
        session = open_file(_file(ecdc, "ecdc"))
    return _hand_over(session, session.versions[0].wav)[0]


def models() -> list[str]:
    """The names of the EnCodec models that can be used here, the default first."""
    return list(offered.offered_models())


def _file(given: Any, name: str) -> Source:
    if not isinstance(given, str) or not given:
        raise to_gradio_error(f"{name} is {shortened(given)}: expected a file")
    return Source(Path(given), Path(given).name, Path(given).name)


def _text(given: Any, name: str) -> str:
    if not isinstance(given, str):
        raise to_gradio_error(f"{name} is {shortened(given)}: expected one of {', '.join(models())}")
    return given


def _hand_over(session: Session, *paths: Path) -> list[str]:
    """An endpoint's files. Gradio deletes them after a while; what else the session has goes now."""
    for path in set(session.folder.iterdir()) - set(paths):
        path.unlink()
    return [str(path) for path in paths]
