"""What `EncodecModel` returns."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from torch import Tensor
from torch.utils import _pytree as pytree


class Output(dict[str, Any]):
    """A dictionary whose entries are also attributes, and values by position; fields that are None are not in it.

    Unlike transformers' `ModelOutput` it unpacks to its values, as the tuple of `return_dict=False` does.
    """

    def __init_subclass__(cls) -> None:
        # So that torch.export and torch.func see the tensors inside.
        pytree.register_pytree_node(
            cls,
            lambda output: (list(output.values()), list(output.keys())),
            lambda values, keys: cls(**dict(zip(keys, values, strict=True))),
            serialized_type_name=f"{cls.__module__}.{cls.__name__}",
        )

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if value is not None:
            super().__setitem__(name, value)

    def __setitem__(self, name: str, value: Any) -> None:
        setattr(self, name, value)

    def __getitem__(self, key: int | slice | str) -> Any:
        return super().__getitem__(key) if isinstance(key, str) else self.to_tuple()[key]

    def __iter__(self) -> Iterator[Any]:
        return iter(self.values())

    def to_tuple(self) -> tuple[Any, ...]:
        return tuple(self.values())


@dataclass(eq=False)
class EncodecEncoderOutput(Output):
    """What `EncodecModel.encode` returns.

    audio_codes: int64 `[N, B, K, F]`. audio_scales: N loudness scales `[B, 1]`, or N times None without `normalize`.
    last_frame_pad_length: frames of the last segment that are padding, to be handed to `decode`.
    """

    audio_codes: Tensor
    audio_scales: list[Tensor | None]
    last_frame_pad_length: int


@dataclass(eq=False)
class EncodecDecoderOutput(Output):
    """What `EncodecModel.decode` returns: audio_values `[B, C, T]`."""

    audio_values: Tensor


@dataclass(eq=False)
class EncodecOutput(Output):
    """What `EncodecModel.forward` returns: audio_codes `[N, B, K, F]` and audio_values `[B, C, T]`."""

    audio_codes: Tensor
    audio_values: Tensor
