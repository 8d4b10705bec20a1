"""Evaluate a trained run on a store.

    accelerate launch launch/evaluate.py --run runs/resnet50_ce --store STORE --split test

Also with ``python``, or on several processes as in launch/train.py. ``--split val,test`` evaluates
both together. Writes predictions.parquet, metrics.json and pictures to ``--out``, prints the table.
"""

from glr_fast.commands.evaluate import main

if __name__ == "__main__":
    main()
