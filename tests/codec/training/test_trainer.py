"""The trainer: it learns, resumes exactly, survives being killed, and two processes are as one."""

import math
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from codec import EncodecConfig, EncodecModel, audio
from codec.training import curves
from codec.training.__main__ import main
from codec.training.configs import CONFIGS, DiscriminatorConfig, TrainingConfig
from codec.training.data import Augmentation, Crops
from codec.training.optimizer import orthogonalise
from codec.training.trainer import Trainer
from codec.training.validation import Validation, si_snr

JOINT = "encodec_24khz_tiny_joint"  # of the bundled model's widths, which --init needs
MODEL = EncodecConfig(num_filters=4, num_lstm_layers=1, hidden_size=16, codebook_size=64, target_bandwidths=(0.9, 1.8))
CONFIG = TrainingConfig(
    MODEL,
    steps=4,
    batch=2,
    crop_s=0.2,
    warmup_steps=2,
    discriminator=DiscriminatorConfig(filters=2, windows=(512, 128)),
    augmentation=Augmentation(mix_probability=0.0),
)


@pytest.fixture
def recordings(tmp_path):
    """Two seconds of a gliding tone with overtones, and noise."""
    time_s = torch.arange(48_000) / 24_000
    phase = 2 * math.pi * (150 * time_s + 40 * time_s**2)
    tone = sum(torch.sin(n * phase) / n for n in range(1, 8)) / 5
    noise = 0.1 * torch.randn(48_000, generator=torch.Generator().manual_seed(0))
    folder = tmp_path / "audio"
    folder.mkdir()
    audio.save(folder / "tone.wav", tone[None], 24_000)
    audio.save(folder / "noise.wav", noise[None], 24_000)
    return folder


def _trainer(config: TrainingConfig, recordings: Path, folder: Path, **options) -> Trainer:
    torch.manual_seed(0)
    samples = round(config.crop_s * config.model.sampling_rate)
    data = Crops(recordings, config.model.sampling_rate, 1, samples, config.batch, config.augmentation, **options)
    return Trainer(config, EncodecModel(config.model), data, folder)


def test_a_resumed_run_takes_the_learning_rate_that_it_is_given(recordings, tmp_path):
    first = _trainer(CONFIG, recordings, tmp_path)
    first.train_step(first.data[0])
    first.save()
    second = _trainer(replace(CONFIG, lr=3 * CONFIG.lr), recordings, tmp_path)
    second.resume()
    assert [group["peak"] for group in second.optimizer.param_groups] == [
        pytest.approx(3 * group["peak"]) for group in first.optimizer.param_groups
    ]


@pytest.mark.parametrize("optimizer", ["adam", "muon"])
def test_resumed_equals_uninterrupted(recordings, tmp_path, optimizer):
    config = replace(CONFIG, optimizer=optimizer)
    whole = _trainer(config, recordings, tmp_path / "whole")
    whole.run()
    first = _trainer(config, recordings, tmp_path / "parts")
    for step in range(2):
        first.train_step(first.data[step])
    first.save()
    second = _trainer(config, recordings, tmp_path / "parts")
    second.resume()
    assert second.step == 2
    second.run()
    for (name, wanted), found in zip(whole.model.state_dict().items(), second.model.state_dict().values(), strict=True):
        assert torch.equal(wanted, found), name
    for name, wanted in whole.average.items():
        assert torch.equal(wanted, second.average[name]), name
    assert whole.seconds == second.seconds == pytest.approx(4 * 2 * 0.2)


@pytest.mark.parametrize("step", [0, 1, 4])
def test_items_take_the_bandwidths_in_turn(recordings, tmp_path, step):
    trainer = _trainer(replace(CONFIG, batch=3), recordings, tmp_path)
    trainer.step = step
    both = [2, 4]  # codebooks of 0.9 and 1.8 kbps
    assert trainer._codebooks(3) == [both[(3 * step + item) % 2] for item in range(3)]


def test_a_bandwidth_that_is_named_more_often_gets_more_items(recordings, tmp_path):
    trainer = _trainer(replace(CONFIG, batch=4, bandwidths=(0.9, 1.8, 0.9)), recordings, tmp_path)
    assert trainer._codebooks(4) == [2, 4, 2, 2]
    trainer.step = 1
    assert trainer._codebooks(4) == [4, 2, 2, 4]


def test_the_exported_model_opens_in_transformers(recordings, tmp_path):
    transformers = pytest.importorskip("transformers")
    trainer = _trainer(replace(CONFIG, steps=2), recordings, tmp_path)
    trainer.run()
    theirs = transformers.EncodecModel.from_pretrained(tmp_path / "model").eval()
    ours = EncodecModel.from_pretrained(tmp_path / "model")
    wav = trainer.data[0]
    with torch.no_grad():
        codes = ours.encode(wav, bandwidth=1.8).audio_codes
        agreement = (theirs.encode(wav, bandwidth=1.8).audio_codes == codes).double().mean()
        # Codewords of two steps' training lie close together, so some nearest ones are nearly ties.
        assert float(agreement) >= 0.9
        torch.testing.assert_close(ours.decode(codes, [None])[0], theirs.decode(codes, [None])[0], atol=1e-5, rtol=0)


def test_frozen_encoder_and_codebooks_stay(recordings, tmp_path):
    trainer = _trainer(replace(CONFIG, frozen_encoder=True), recordings, tmp_path)
    trainer.generator.quantizer.start(trainer.model.encoder(trainer.data[0]).detach())
    before = {name: value.clone() for name, value in trainer.model.state_dict().items()}
    trainer.run()
    changed = {n.split(".")[0] for n, v in trainer.model.state_dict().items() if not torch.equal(v, before[n])}
    assert changed == {"decoder"}


def test_a_run_from_a_model_goes_on_from_its_codebooks(recordings, tmp_path):
    out, still = tmp_path / "run", ["--set", "lr=0.0", "--set", "codebook_decay=0.9999"]
    arguments = ["--data", str(recordings), "--config", JOINT, "--init", "encodec_24khz_tiny"]
    assert main([*arguments, "--out", str(out), "--batch", "1", "--steps", "1", *still]) == 0
    before, after = (EncodecModel.from_pretrained(name).quantizer for name in ("encodec_24khz_tiny", out / "model"))
    for old, new in zip(before.codebooks, after.codebooks, strict=True):
        assert float((new.embed - old.embed).norm()) < 0.05 * float(old.embed.norm())


def test_validation_gets_the_averaged_model_and_curves_are_drawn(recordings, tmp_path):
    trainer = _trainer(CONFIG, recordings, tmp_path)
    trainer.run(save_every=1, validate=Validation(recordings), validate_every=2)
    table = pd.read_csv(tmp_path / "curves.csv")
    assert table.step.tolist() == [1, 2, 3, 4]
    assert table["si_snr_1.8"].notna().tolist() == [False, True, False, True]
    assert {"mel", "time", "commitment", "adversarial", "discriminator", "perplexity_1"} <= set(table.columns)
    assert curves.plot(tmp_path / "curves.csv").read_bytes()[:4] == b"\x89PNG"


def test_si_snr_of_noise_at_a_tenth_of_the_level():
    generator = torch.Generator().manual_seed(0)
    wav, noise = torch.randn(2, 1, 1, 100_000, generator=generator)
    assert float(si_snr(wav, 0.3 * (wav + 0.1 * noise))) == pytest.approx(20, abs=0.1)


def test_curves_replace_steps_that_are_taken_again(tmp_path):
    for step, loss in ((1, 0.5), (2, 0.4), (3, 0.3), (2, 0.45)):
        curves.append(tmp_path / "curves.csv", {"step": step, "loss": loss})
    assert pd.read_csv(tmp_path / "curves.csv").to_numpy().tolist() == [[1, 0.5], [2, 0.45]]


def test_a_loss_that_is_not_finite_stops_the_run(recordings, tmp_path):
    trainer = _trainer(CONFIG, recordings, tmp_path)
    with pytest.raises(FloatingPointError, match=r"step 0: .*time"):
        trainer.train_step(torch.full((1, 1, 4800), math.nan))


def test_orthogonalised_matrices_have_singular_values_near_one():
    for shape in ((8, 24), (24, 8)):
        values = torch.linalg.svdvals(orthogonalise(torch.randn(shape, generator=torch.Generator().manual_seed(0))))
        assert 0.6 < float(values.min()) <= float(values.max()) < 1.3


def _gradients(rank: int, world: int, recordings: Path, folder: Path, port: int) -> None:
    torch.set_num_threads(1)
    if world > 1:
        dist.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=world)
    trainer = _trainer(replace(CONFIG, batch=4, lr=0.0), recordings, folder)  # the weights stay as they are
    wav = trainer.data[0][rank * 4 // world : (rank + 1) * 4 // world]
    trainer.generator.quantizer.dead_below = 0.0  # replacements are drawn from residuals in an order of each process
    trainer.generator.quantizer.start(trainer.model.encoder(wav).detach())
    trainer.train_step(wav)
    found = {name: value.grad for name, value in trainer.model.named_parameters()}
    codebooks = [codebook.embed for codebook in trainer.model.quantizer.codebooks]
    torch.save((found, codebooks), folder / f"gradients_{world}_{rank}.pt")
    if world > 1:
        dist.destroy_process_group()


@pytest.mark.slow
def test_two_processes_give_the_gradients_of_one(recordings, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    _gradients(0, 1, recordings, tmp_path, port)
    mp.spawn(_gradients, (2, recordings, tmp_path, port), nprocs=2)
    gradients, codebooks = torch.load(tmp_path / "gradients_1_0.pt")
    for rank in range(2):
        found, found_codebooks = torch.load(tmp_path / f"gradients_2_{rank}.pt")
        for name, wanted in gradients.items():
            # Adam's first step of the discriminator amplifies the rounding of sums in another order.
            assert float((found[name] - wanted).norm()) < 1e-3 * float(wanted.norm()), name
        torch.testing.assert_close(found_codebooks, codebooks, atol=1e-6, rtol=1e-4)


@pytest.mark.slow
def test_overfitting_one_clip_reaches_12_db(recordings, tmp_path):
    """Two minutes at most: the whole chain of gradients, codebooks and schedule learns a 0.4 s clip."""
    model = EncodecConfig(num_filters=8, num_lstm_layers=1, hidden_size=32, codebook_size=256, target_bandwidths=(4.8,))
    config = TrainingConfig(
        model, steps=400, batch=1, lr=3e-3, warmup_steps=20, loss_weights={"time": 1.0, "mel": 0.1}, ema_decay=0.9
    )
    trainer = _trainer(config, recordings, tmp_path)
    wav = audio.load(recordings / "tone.wav", 0, 9600)[0][None]
    for _ in range(config.steps):
        trainer.train_step(wav)
    exported = EncodecModel.from_pretrained(trainer.export())
    decoded = exported(wav, bandwidth=4.8).audio_values
    scaled = (wav * decoded).sum() / decoded.pow(2).sum() * decoded
    si_snr_db = float(10 * torch.log10(wav.pow(2).sum() / (wav - scaled).pow(2).sum()))
    assert si_snr_db > 12, f"SI-SNR is {si_snr_db:.1f} dB"


def _command(recordings: Path, out: Path, *more: str) -> list[str]:
    return ["--data", str(recordings), "--config", JOINT, "--out", str(out), "--batch", "1", *more]


@pytest.mark.slow
def test_the_command_survives_kill_9(recordings, tmp_path):
    out = tmp_path / "run"
    more = ["--init", "encodec_24khz_tiny", "--save-every", "1"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    run = subprocess.Popen([sys.executable, "-m", "codec.training", *_command(recordings, out, *more)], env=environment)
    deadline = time.monotonic() + 120
    while not (out / "curves.csv").is_file() and time.monotonic() < deadline:
        time.sleep(0.05)
    run.send_signal(signal.SIGKILL)
    assert run.wait() == -signal.SIGKILL
    before = torch.load(out / "state.pt", weights_only=True)["step"]
    assert before >= 1
    assert main(_command(recordings, out, *more, "--resume", "--hours", "0")) == 0
    assert torch.load(out / "state.pt", weights_only=True)["step"] == before + 1
    assert EncodecModel.from_pretrained(out / "model").config.num_filters == CONFIGS[JOINT].model.num_filters


def test_the_command_ends_after_its_steps(recordings, tmp_path):
    out = tmp_path / "run"
    assert main(_command(recordings, out, "--init", "encodec_24khz_tiny", "--steps", "2")) == 0
    state = torch.load(out / "state.pt", weights_only=True)
    assert state["step"] == 2
    # The rate has fallen to that of the last of two steps: half of a cosine, within the warm-up.
    config = CONFIGS[JOINT]
    assert state["optimizer"]["param_groups"][0]["lr"] == pytest.approx(config.lr * 2 / config.warmup_steps * 0.5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data", "/nowhere", "--config", "encodec_24khz_tiny"], "no audio"),
        (["--data", "/nowhere", "--config", "encodec_24khz_tiny", "--resume", "--out", "/nowhere"], "to resume"),
        (["--data", "/nowhere", "--config", "encodec_24khz_tiny", "--steps", "0"], "--steps must be at least 1, not 0"),
        (["--data", "/nowhere", "--config", "encodec_24khz_tiny", "--set", "rate=1"], "got rate=1"),
        (
            ["--data", "/nowhere", "--config", "encodec_24khz_tiny", "--set", "bandwidths=(2.0,)"],
            "got bandwidths=(2.0,)",
        ),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(arguments, message, capsys):
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error
