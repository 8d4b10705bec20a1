"""Fine-tune a landmark recognizer on a store.

    accelerate launch launch/train.py --recipe resnet50_ce --data.store STORE --out runs/a

Also: ``python launch/train.py ...`` for one process, ``--config_file launch/accelerate/*.yaml``
for one GPU, several GPUs or two CPU processes. ``--help`` lists every option; the recipes are in
glr_fast/recipes.py. ``--resume`` continues a stopped run.
"""

from glr_fast.commands.train import main

if __name__ == "__main__":
    main()
