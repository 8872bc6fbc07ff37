#!/usr/bin/env bash
# Makes every result in this folder again, with a test install: pip install -e '.[test]'. About two hours on two idle cores.
set -euo pipefail
cd "$(dirname "$0")/../.."
out=results/reference
tiny="python -m encodec_eval --set librispeech-mini --model encodec_24khz_tiny"

$tiny --overwrite --out $out/librispeech-mini_encodec_24khz_tiny
$tiny --systems encodec opus mp3 anchors identity --lm --reference opus@6 --overwrite \
    --out $out/librispeech-mini_encodec_24khz_tiny+opus+mp3+lowpass+identity
python -m encodec_eval --set clips-48k --model encodec_48khz_tiny --systems encodec opus mp3 anchors identity \
    --metrics si_snr log_mel visqol_audio --overwrite --out $out/clips-48k_encodec_48khz_tiny+opus+mp3+lowpass+identity

# With the extras [perceptual], [pitch] and [visqol] too. Half an hour on two idle cores.
python -m encodec_eval --set librispeech-mini librispeech-mini+noisy clips-48k --model encodec_24khz_tiny \
    --systems encodec opus identity --metrics all --curves pesq distillmos wer --overwrite --out $out/perceptual
for layout in encodec dac codec-superb bigcodec; do
    python -m encodec_eval report $out/perceptual --layout $layout
done

# Over a line; Opus needs libopus (Debian: libopus0).
line="$tiny --overwrite"
$line --systems encodec opus --bandwidths 6 12 --through loss=0,0.02,0.05,0.1,0.2:burst=2 --out $out/line/loss
$line --systems encodec --bandwidths 6 --through loss=0,0.05,0.1,0.2:burst=2:conceal=repeat,zero,lm,copy1,copy2 \
    --limit 5 --out $out/line/concealment
$line --systems encodec opus --bandwidths 6 --opus-kbps 12 --through generations=1,2,5,10,25 tandem=opus@12:before,after \
    transcode=3,1.5 ber=1e-5,1e-4,1e-3 jitter=10,20,40:buffer=60 --limit 5 --out $out/line/other
OMP_NUM_THREADS=1 python -m tests.benchmarks.concealment --out $out/line
python -m encodec_eval delay --model encodec_24khz_tiny encodec_48khz_tiny --bandwidths 6 \
    --systems encodec libopus opus mp3 anchors identity --out $out/line

rm -rf listening_test
python -m encodec_eval mushra --set librispeech-mini --model encodec_24khz_tiny --items 8 --out listening_test
python -m encodec_eval mushra simulate listening_test --faulty 3
python -m encodec_eval mushra analyze listening_test/simulated.csv --out $out/mushra
cp listening_test/manifest.json $out/mushra/
python -m encodec_eval agree $out/librispeech-mini_encodec_24khz_tiny+opus+mp3+lowpass+identity $out/mushra \
    --out $out/agreement

# The other methods, taken by ten scripted listeners in Chromium (Debian's), two of them killed in the middle; [listening].
# In AB they disagree more often, so that no system wins always: the strength of one that does would not be finite.
for method in acr dcr ccr ab abx bs1116; do
    rm -rf listening_test
    python -m encodec_eval listening --method $method --set librispeech-mini --model encodec_24khz_tiny --bandwidths 3 12 \
        --items 4 --duration 3 --trials 6 --out listening_test
    python -m tests.benchmarks.scripted_listeners listening_test --noise $([ $method = ab ] && echo 20 || echo 8)
    python -m encodec_eval listening analyze listening_test/results --manifest listening_test \
        --out $out/listening/$method
    python -m encodec_eval listening export listening_test --out $out/listening/$method/answers.csv
done

# Speeds need a machine that does nothing else.
python -m encodec_eval speed --budget 25 --out $out/speed
OMP_NUM_THREADS=1 python -m tests.benchmarks.ecdc_speed --out $out/ecdc
