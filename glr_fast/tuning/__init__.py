"""Searches for hyperparameters with Optuna: each trial is a training run in its own folder.

A study folder::

    study.json             which study of which database this is
    study.db               the trials, unless --storage names a database
    trials/0007/           run folder of trial 7, with train.log
    locks/0007             held by the worker that runs trial 7
    best.json              options of the best trial, for launch/train.py --config
    study.html             history, importance, parallel coordinates, table of trials

Several workers share the folder, as they share the database. Who holds the lock of a trial runs it;
the kernel drops the lock of a worker that dies, however it dies, and the next worker goes on from
the trial's newest checkpoint.
"""

from glr_fast.tuning.tune import Study, tune

__all__ = ["Study", "tune"]
