"""Train from a store with PyTorch Lightning: python examples/with_lightning.py STORE."""

import sys  # noqa: I001

from glr_fast.data import LoaderOptions, Rank, Store, normalise, open_loader  # first: docs/gpu.md
import lightning
import timm
import torch


class Recognizer(lightning.LightningModule):
    def __init__(self, path: str, **options) -> None:
        super().__init__()
        self.model = timm.create_model("resnet18", num_classes=Store.open(path).num_classes)
        self.path, self.options = path, LoaderOptions(**options)

    def train_dataloader(self):
        rank = Rank(self.global_rank, self.trainer.world_size)  # the processes share each batch
        self.loader = open_loader(self.path, "train", self.options, rank=rank, device=self.device)
        return Epochs(self)

    def training_step(self, batch, _) -> torch.Tensor:
        return torch.nn.functional.cross_entropy(self.model(normalise(batch[0])), batch[1])

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.01)


class Epochs:
    def __init__(self, model: Recognizer) -> None:
        self.model = model

    def __iter__(self):  # called once an epoch
        return ((b.images, b.labels) for b in self.model.loader.epoch(self.model.current_epoch))


if __name__ == "__main__":
    path = sys.argv[1] if len(sys.argv) > 1 else sys.exit(__doc__)
    lightning.Trainer(max_epochs=1).fit(Recognizer(path, batch_size=32))
