"""Objectives of embeddings, as sentence-transformers has them, as functions of a few vectors.

Run it with sentence-transformers 6 and PyTorch 2 (scripts/peers.mjs makes such an environment): python embedding_losses.py
"""

from pathlib import Path

import torch
from losses import Case, LossFixture, Tensors
from sentence_transformers.sentence_transformer import losses
from sentence_transformers.util import pairwise_cos_sim
from torch import Tensor

ROWS, WIDTH = 5, 6
FIXTURE = Path(__file__).parent.parent / "fixtures" / "embedding-losses"


def vectors(seed: int) -> Tensor:
    return torch.randn(ROWS, WIDTH, generator=torch.Generator().manual_seed(seed))


def in_batch(anchors: Tensor, positives: Tensor, negatives: Tensor, scale: float) -> Tensors:
    loss = losses.MultipleNegativesRankingLoss(None, scale=scale)
    columns = [anchors, positives] if negatives.numel() == 0 else [anchors, positives, negatives]
    return {"loss": loss.compute_loss_from_embeddings(columns, None)}


def triplet(anchors: Tensor, positives: Tensor, negatives: Tensor, margin: float) -> Tensors:
    loss = losses.TripletLoss(None, triplet_margin=margin)
    return {"loss": loss.compute_loss_from_embeddings([anchors, positives, negatives], None)}


def cosent(first: Tensor, second: Tensor, scores: Tensor, scale: float) -> Tensors:
    loss = losses.CoSENTLoss(None, scale=scale)
    return {"loss": loss.compute_loss_from_embeddings([first, second], scores)}


def cosine(first: Tensor, second: Tensor, scores: Tensor) -> Tensors:
    return {"loss": torch.nn.functional.mse_loss(pairwise_cos_sim(first, second), scores)}


def fixture() -> LossFixture:
    three = {"anchors": vectors(1), "positives": vectors(2), "negatives": vectors(3)}
    pairs = {**three, "negatives": torch.empty(0)}
    two = {"first": vectors(4), "second": vectors(5)}
    # Two pairs have the same score: neither is to be above the other.
    scores = {"scores": torch.tensor([0.9, 0.2, 0.5, 0.5, -0.1])}
    return LossFixture(
        {
            "in_batch": Case(in_batch, pairs, {"scale": 20.0}, ("anchors", "positives")),
            "in_batch_with_negatives": Case(in_batch, three, {"scale": 5.0}, tuple(three)),
            "triplet": Case(triplet, three, {"margin": 1.0}, tuple(three)),
            "cosent": Case(cosent, {**two, **scores}, {"scale": 20.0}, tuple(two)),
            "cosine": Case(cosine, {**two, **scores}, {}, tuple(two)),
        }
    )


if __name__ == "__main__":
    print(fixture().write(FIXTURE))
