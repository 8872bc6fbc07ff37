"""The MS-STFT discriminator against the reference code."""

import pytest
import torch

from codec.training.discriminator import MultiScaleStftDiscriminator

WINDOWS = (512, 128)


@pytest.mark.parametrize("channels", [1, 2])
def test_parity_with_the_reference(channels):
    msstftd = pytest.importorskip("encodec.msstftd")
    torch.manual_seed(0)
    reference = msstftd.MultiScaleSTFTDiscriminator(
        4, in_channels=channels, n_ffts=list(WINDOWS), hop_lengths=[w // 4 for w in WINDOWS], win_lengths=list(WINDOWS)
    ).double()
    ours = MultiScaleStftDiscriminator(4, channels, WINDOWS).double()
    state = {}
    for name, value in reference.state_dict().items():
        if "spec_transform" in name:
            continue
        name = name.replace("conv_post.conv.", "conv_post.").replace("convs.", "convs/").replace(".conv.", ".")
        name = name.replace("convs/", "convs.")
        name = name.replace("weight_g", "parametrizations.weight.original0")
        state[name.replace("weight_v", "parametrizations.weight.original1")] = value
    ours.load_state_dict(state)
    for discriminator in ours.discriminators:  # our window is made in float32
        size = len(discriminator.window)
        window = torch.hann_window(size, dtype=torch.float64)
        discriminator.window = window / window.pow(2).sum().sqrt()
    for transform in (each.spec_transform for each in reference.discriminators):
        transform.window = torch.hann_window(transform.n_fft, dtype=torch.float64)
    wav = torch.randn(2, channels, 4000, dtype=torch.float64)
    logits, features = ours(wav)
    expected_logits, expected_features = reference(wav)
    torch.testing.assert_close(logits, expected_logits)
    torch.testing.assert_close(features, expected_features)


def test_shapes_of_the_five_windows_of_the_paper():
    torch.manual_seed(0)
    logits, features = MultiScaleStftDiscriminator(filters=2)(torch.randn(1, 1, 6000))
    frames = [(6000 - window) // (window // 4) + 1 for window in (2048, 1024, 512, 256, 128)]
    assert [tuple(x.shape[:3]) for x in logits] == [(1, 1, count) for count in frames]
    assert [len(each) for each in features] == [5] * 5
    assert features[0][0].shape == (1, 2, frames[0], 1025)
    assert features[0][-1].shape == (1, 2, frames[0], 129)  # three strides of 2
