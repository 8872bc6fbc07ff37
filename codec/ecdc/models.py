"""The models that an `.ecdc` file needs, by the names and hashes in its header."""

import re
from pathlib import Path

from codec import hub, weights
from codec.config import EncodecConfig
from codec.ecdc.header import Header
from codec.errors import EcdcError
from codec.lm.model import LanguageModel, language_model_for
from codec.model import EncodecModel, load_model

SHA_DIGITS = 8  # of a hash that a header holds


def short_name(model: EncodecModel) -> str:
    """The name that files carry: facebook's models go by the names `encodec` gives them, a folder by its last part."""
    return re.sub(r"(-[0-9a-f]{8,64})?\.th$", "", Path(model.name).name)


def models_for(
    header: Header, model: EncodecModel | None, lm: LanguageModel | None
) -> tuple[EncodecModel, LanguageModel | None]:
    """The models a file needs, checked against its header."""
    if model is None:
        model = load_model(_known_name(header.model))
    if header.model != short_name(model):
        raise EcdcError(f"the file was made with model {header.model!r}, not {short_name(model)!r}")
    if not model.checkpoint_sha256.startswith(header.model_sha256):
        found = model.checkpoint_sha256[:SHA_DIGITS] or "none"
        raise EcdcError(f"the file needs checkpoint {header.model_sha256} of {header.model}; this one is {found}")
    if not header.lm:
        return model, None
    lm = lm or language_model_for(model.name)
    if not lm.sha256.startswith(header.lm_sha256):
        needed = f"{header.lm_name} {header.lm_sha256}"
        raise EcdcError(f"the file needs language model {needed}; this one is {lm.name} {lm.sha256[:SHA_DIGITS]}")
    check_lm(lm, model)
    return model, lm


def _known_name(name: str) -> str:
    """What to load for the name in a file, which is not trusted to name a path or any repository of the hub."""
    known = {Path(known).name: known for known in (*weights.FACEBOOK_CONFIGS, *hub.bundled_models())}
    if name not in known:
        listed = ", ".join(known)
        raise EcdcError(f"the file needs model {name!r}, which does not load by name; expected {listed}, or that model")
    return known[name]


def config_of(name: str) -> EncodecConfig:
    known = _known_name(name)
    return weights.FACEBOOK_CONFIGS.get(known) or EncodecConfig.from_json_file(
        hub.BUNDLED_FOLDER / known / hub.CONFIG_NAME
    )


def check_lm(lm: LanguageModel, model: EncodecModel) -> None:
    if lm.codec_sha256 and lm.codec_sha256 != model.checkpoint_sha256:
        raise EcdcError(
            f"language model {lm.name} belongs to codec checkpoint {lm.codec_sha256[:SHA_DIGITS]}, "
            f"{model.name} is {model.checkpoint_sha256[:SHA_DIGITS] or 'from no file'}"
        )
    if lm.config.codebook_size != model.config.codebook_size or lm.config.codebooks < model.config.num_quantizers:
        raise EcdcError(
            f"language model {lm.name} is for {lm.config.codebooks} codebooks of {lm.config.codebook_size}; "
            f"{model.name} has {model.config.num_quantizers} of {model.config.codebook_size}"
        )
