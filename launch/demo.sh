#!/bin/sh
# The main job on generated photos: build a store, train two models, evaluate both, elect one, and
# recognise photos that no training saw. Run by `make demo`; BIN is the environment's bin folder,
# DEMO where everything goes.
set -eu
BIN=${BIN:-.venv/bin}
DEMO=${DEMO:-demo}
rm -rf "$DEMO"
started=$(date +%s)

echo "== 1 of 5: photos of 20 generated landmarks, 90 down to 10 each"
"$BIN/python" -m shard_tools.demo_photos "$DEMO/photos" --classes 20 --largest 90 --smallest 10

echo "== 2 of 5: store"
"$BIN/glr-shard" build --source "$DEMO/photos" --out "$DEMO/store" --resize-short 128

# From random weights, so that nothing is downloaded: hence the large learning rate of the backbone.
train() {
  recipe=$1
  shift
  echo "== training $recipe"
  "$BIN/python" launch/train.py --recipe "$recipe" --data.store "$DEMO/store" --out "$DEMO/$recipe" \
    --model.no-pretrained --optim.backbone-lr-scale 1 --optim.lr 0.002 --data.image-size 64 \
    --run.log-every 50 --run.eval-every 3 "$@"
}
echo "== 3 of 5: training"
train efficientnet_b0_ldam --data.batch-size 16 --optim.epochs 12
train resnet50_ldam --data.batch-size 32 --optim.epochs 7

echo "== 4 of 5: evaluation and election; no training has seen the test photos"
for recipe in efficientnet_b0_ldam resnet50_ldam; do
  evaluate="$BIN/python launch/evaluate.py --run $DEMO/$recipe --store $DEMO/store"
  $evaluate --split val --no-report >"$DEMO/log"  # for the election
  $evaluate --split test >"$DEMO/log"
  echo "-- $recipe, test photos"
  cat "$DEMO/log"
done
rm "$DEMO/log"
echo
"$BIN/python" launch/compare.py "$DEMO/efficientnet_b0_ldam" "$DEMO/resnet50_ldam" --out "$DEMO/best"

echo "== 5 of 5: an album of new photos, without labels, a few of them of other buildings"
"$BIN/python" -m shard_tools.demo_photos "$DEMO/album" --classes 20 --album 6
"$BIN/python" launch/predict.py --model "$DEMO/best" "$DEMO/album" --out "$DEMO/album.csv" --gallery "$DEMO/gallery"

seconds=$(($(date +%s) - started))
cat <<END

Done in $((seconds / 60)) min $((seconds % 60)) s. Open in a browser:
  $DEMO/efficientnet_b0_ldam/eval-test/report.html
  $DEMO/resnet50_ldam/eval-test/report.html   what each model gets right and wrong, with photos
  $DEMO/gallery/index.html   the album by landmark, the unsure photos apart
The elected model is in $DEMO/best/; its README.md says how other programs load it.
END
