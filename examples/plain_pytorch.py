"""Train from a store in a plain PyTorch loop: python examples/plain_pytorch.py STORE [EPOCHS]."""

from __future__ import annotations  # noqa: I001

import sys

from glr_fast.data import LoaderOptions, Store, normalise, open_loader  # first: docs/gpu.md
import timm
import torch
from torch.nn.functional import cross_entropy


def train(path: str, epochs: int = 1, batch_size: int = 32, image_size: int = 224) -> list[float]:
    """Fine-tune a small network; returns the loss of every step."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    store = Store.open(path)
    model = timm.create_model("resnet18", num_classes=store.num_classes).to(device)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    losses: list[torch.Tensor] = []
    options = LoaderOptions(policy="sqrt", batch_size=batch_size, image_size=image_size)
    with open_loader(store, "train", options, device=device) as loader:
        for epoch in range(epochs):
            for batch in loader.epoch(epoch):
                loss = cross_entropy(model(normalise(batch.images)), batch.labels)
                loss.backward()
                optimizer.step()
                optimizer.zero_grad()
                losses.append(loss.detach())
        print("where the loader's time went:", loader.timings)
    return torch.stack(losses).tolist()


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    print(train(sys.argv[1], *map(int, sys.argv[2:])))
