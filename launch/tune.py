"""Search for hyperparameters with Optuna; each trial is a training run in its own folder.

python launch/tune.py --recipe NAME --data.store STORE --out STUDY \
    --search optim.lr=log:1e-4:1e-2 --search loss.name=ce,ldam --trials 20

The same command again continues a stopped study, or adds a worker to a running one.
"""

from glr_fast.commands.tune import main

if __name__ == "__main__":
    main()
