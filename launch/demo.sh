#!/bin/sh
# The main job on generated photos: build a store, train two models, evaluate both, compare.
# Run by `make demo`; BIN is the environment's bin folder, DEMO where everything goes.
set -eu
BIN=${BIN:-.venv/bin}
DEMO=${DEMO:-demo}
rm -rf "$DEMO"

echo "== 1 of 4: photos of 20 generated landmarks, 90 down to 10 each"
"$BIN/python" -m shard_tools.demo_photos "$DEMO/photos" --classes 20 --largest 90 --smallest 10

echo "== 2 of 4: store"
"$BIN/glr-shard" build --source "$DEMO/photos" --out "$DEMO/store" --resize-short 128

# From random weights, so that nothing is downloaded: hence the large learning rate of the backbone.
train() {
  recipe=$1
  shift
  echo "== training $recipe"
  "$BIN/accelerate" launch --quiet --num_processes 1 --num_machines 1 --mixed_precision no --dynamo_backend no \
    launch/train.py --recipe "$recipe" --data.store "$DEMO/store" --out "$DEMO/$recipe" \
    --model.no-pretrained --optim.backbone-lr-scale 1 --optim.lr 0.002 --data.image-size 64 \
    --run.log-every 50 --run.eval-every 3 "$@"
}
echo "== 3 of 4: training"
train efficientnet_b0_ldam --data.batch-size 16 --optim.epochs 18
train resnet50_ldam --data.batch-size 32 --optim.epochs 9

echo "== 4 of 4: evaluation; no training has seen the test photos"
for recipe in efficientnet_b0_ldam resnet50_ldam; do
  for split in val test; do
    "$BIN/python" launch/evaluate.py --run "$DEMO/$recipe" --store "$DEMO/store" --split $split >"$DEMO/log"
  done
  echo "-- $recipe, test photos"
  cat "$DEMO/log"
done
echo
"$BIN/python" launch/compare.py "$DEMO/efficientnet_b0_ldam" "$DEMO/resnet50_ldam"
echo "everything is in $DEMO/: photos, store, and one folder per run (best/, eval-test/, logs/)"
