"""What many GPUs should give, computed: gradient traffic, loader bandwidth, scaling.

    python -m benchmarks.scaling        # prints the tables of docs/scale.md

Nothing here is measured. A step is the time of one GPU for its batch; gradients travel by a ring
all-reduce, which moves 2 (n - 1) / n of them over the slowest link, while the backward pass of the
backbone runs (the head's are ready first). What does not fit beside it is waited for.
"""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.samples import table

CLASSES = 81_313
BATCH = 256  # per GPU
#: Share of a step in which gradients can travel: the backward pass without its very end.
OVERLAP = 0.55
PHOTO_KB = {"as they are": 98, "short side 256": 37}


@dataclass(frozen=True)
class Network:
    """A model of this project with its head of 81,313 classes."""

    name: str
    backbone: float
    """Parameters without the head."""
    features: int
    rate: float
    """Images/s of one GPU, bf16: what docs/gpu.md aims at, 1.3 times what one A100 was published
    with."""

    @property
    def parameters(self) -> float:
        """With the head: a weight for each feature and class, and a bias."""
        return self.backbone + (self.features + 1) * CLASSES

    def gradient_mb(self, size: int) -> float:
        """All gradients, in MB, at some bytes each."""
        return self.parameters * size / 1e6


@dataclass(frozen=True)
class Link:
    """The slowest connection that gradients pass, per machine or per GPU within one."""

    name: str
    gb_s: float
    """GB/s in each direction that NCCL reaches on it."""


NETWORKS = (
    Network("resnet50", 23.5e6, 2048, 1.3 * 2470),
    Network("efficientnet_b0", 4.0e6, 1280, 1.3 * 2489),
)
NVLINK = Link("NVLink (A100)", 230)
FABRIC = Link("8 x 200 Gb/s InfiniBand", 160)
ETHERNET = Link("100 Gb/s Ethernet", 11)
PER_MACHINE = 8


def exchange_ms(network: Network, gpus: int, link: Link, size: int) -> float:
    """Milliseconds of one all-reduce.

    Within a machine each GPU is a member of the ring; between machines, which have reduced among
    their own GPUs before, each machine is.
    """
    members = gpus // PER_MACHINE if gpus > PER_MACHINE else gpus
    inside = 0.0
    if gpus > PER_MACHINE:
        inside = exchange_ms(network, PER_MACHINE, NVLINK, size)
    return inside + network.gradient_mb(size) * 2 * (members - 1) / members / link.gb_s


def efficiency(network: Network, gpus: int, link: Link, size: int) -> float:
    """Rate of so many GPUs over that many times the rate of one."""
    step = 1000 * BATCH / network.rate
    waited = max(0.0, exchange_ms(network, gpus, link, size) - OVERLAP * step)
    return step / (step + waited)


def traffic_table() -> str:
    """Parameters and gradients of each network."""
    rows = [
        [
            f"`{net.name}`",
            f"{net.parameters / 1e6:,.1f} million",
            f"{(net.features + 1) * CLASSES / net.parameters:.0%}",
            f"{net.gradient_mb(4):,.0f} MB",
            f"{net.gradient_mb(2):,.0f} MB",
        ]
        for net in NETWORKS
    ]
    return table(["model", "parameters", "of them the head", "float32", "bfloat16"], rows)


def scaling_table() -> str:
    """Exchange and scaling for 8 to 64 GPUs."""
    rows = []
    for net in NETWORKS:
        for gpus, link in (
            (8, NVLINK),
            (16, FABRIC),
            (64, FABRIC),
            (16, ETHERNET),
            (32, ETHERNET),
            (64, ETHERNET),
        ):
            cells = [
                f"{exchange_ms(*how):.0f} ms, {efficiency(*how):.2f}"
                for how in ((net, gpus, link, size) for size in (4, 2))
            ]
            rows.append([f"`{net.name}`", str(gpus), link.name, *cells])
    return table(["model", "GPUs", "slowest link", "float32", "`--optim.compress-gradients`"], rows)


def loader_table() -> str:
    """What the loader must read for each machine of eight GPUs."""
    rows = []
    for net in NETWORKS:
        photos = PER_MACHINE * net.rate
        reads = [f"{photos * kb / 1e6:.1f} GB/s" for kb in PHOTO_KB.values()]
        rows.append([f"`{net.name}`", f"{photos:,.0f}", *reads])
    return table(["model", "photos/s of a machine", *PHOTO_KB], rows)


def main() -> None:
    """Print the tables."""
    print("\n\n".join((traffic_table(), scaling_table(), loader_table())))


if __name__ == "__main__":
    main()
