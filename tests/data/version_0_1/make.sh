#!/usr/bin/env bash
# Makes the files beside this script: what nars 0.1 wrote before its modules moved into folders (3b0444b).
# Later versions read them: tests/test_version_0_1.py. Run it with that version only, in an empty folder:
#
#     PYTHONPATH=CHECKOUT OMP_NUM_THREADS=1 bash make.sh
#
# It takes some two minutes on one core. All data is embedded in nars, so every machine can resume here.
set -euo pipefail
nars=(python -m nars)

# Waits until a search has begun to train its trial of this number, from 1.
trains() {
    until grep '"macs"' unfinished/study.journal 2> /dev/null | sed -n "$1p" | grep -q .; do sleep 0.02; done
}

# Starts a command and kills it once this file is there.
killed_at() {
    local file=$1
    shift
    "$@" 2> /dev/null &
    until [ -e "$file" ]; do sleep 0.02; done
    kill -KILL "$!"
}

cat > space.yaml <<'YAML'
kind: space
schema: 1
name: tiny
resolution: {low: 8, high: 16, step: 8}
stages:
- - {name: stem, op: conv, kernel: 3, channels: {low: 4, high: 8, step: 4}, stride: 2}
- - name: body
    op: mbconv
    kernel: {first: [3, 5], rest: 3}
    expansion: {first: {low: 1, high: 3}, rest: 2}
    channels: [8, 12]
    depth: {low: 1, high: 2}
    stride: 2
    se: [none, hsigmoid]
- - {name: tail, op: mbconv, kernel: 3, expansion: 2, channels: 16, stride: 2}
- - {name: head, op: mbpool, expansion: 2, channels: 16}
recipe:
  optimizer: [sgd, adamw]
  lr: {low: 0.02, high: 0.5, log: true}
  epochs: {low: 2, high: 3}
  ema: [false, true]
lr_factor: {adamw: 0.02}
YAML
"${nars[@]}" spaces micro > micro.yaml
"${nars[@]}" spaces fbnetv3_a0 > architecture.yaml

# Searches: one that is finished, a front, and one that was killed twice. The first kill was of the command
# alone, whose worker gave its trial back; the second of both, so one trial still says that it runs.
search=("${nars[@]}" search --space space.yaml --workers 1 --seed 1)
"${search[@]}" --budget 12 --max-macs 200k --run finished
"${search[@]}" --budget 4 --objective accuracy,macs --run front
unfinished=("${search[@]}" --budget 4 --run unfinished)
"${unfinished[@]}" 2> /dev/null &
trains 2
kill -KILL "$!"
sleep 3
"${unfinished[@]}" 2> /dev/null &
trains 3
kill -KILL "$!" "$(pgrep -P "$!")"

# The winner, its recipe alone, a classifier, and one whose training was killed after an epoch.
"${nars[@]}" export best-arch --run finished -o best.yaml
python -c "print(__import__('nars').Candidate.load('best.yaml').recipe.to_yaml(), end='')" > recipe.yaml
"${nars[@]}" train best.yaml -o classifier.pt --epochs 2
killed_at interrupted.pt.checkpoint "${nars[@]}" train best.yaml -o interrupted.pt --epochs 4

# The detector of the winner, and one whose training was killed at its hundredth step of two hundred.
detect=("${nars[@]}" detect train best.yaml --weights classifier.pt --epochs 1 --batch-size 2)
detect+=(--shortest 64 --longest 80 --pooler-resolution 2 --test-proposals 20)
"${detect[@]}" -o detection
killed_at interrupted_detection/checkpoint.pt "${detect[@]}" -o interrupted_detection

rm -f ./*/report.html ./*/results.png ./*/log.txt ./*/.lock ./*/*.flock ./*/events.out.*
sed -i "s/\"$(hostname):/\"host:/" ./*/study.journal
