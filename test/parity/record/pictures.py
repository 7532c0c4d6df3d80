"""Tiny random models of pictures of the diffusers library, with what they give and their gradients.

Run it with diffusers and PyTorch 2 (scripts/peers.mjs makes the rest of such an environment): python pictures.py [name ...]
"""

import json
import sys
from pathlib import Path

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from recorder import write_json
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

FIXTURES = Path(__file__).parent.parent / "fixtures" / "pictures"

UNETS = {
    # Attention on all levels but the last, heads by "attention_head_dim", filters of one pixel around transformers.
    "unet": {
        "in_channels": 3, "out_channels": 3, "sample_size": 8, "block_out_channels": (8, 16), "layers_per_block": 1,
        "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"), "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
        "cross_attention_dim": 12, "attention_head_dim": 2, "norm_num_groups": 4,
    },
    # As Stable Diffusion 2: matrices around transformers, heads of each level; sines first, two blocks a transformer.
    "unet-linear": {
        "in_channels": 2, "out_channels": 4, "sample_size": 4, "block_out_channels": (8, 8), "layers_per_block": 2,
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"), "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"),
        "cross_attention_dim": 6, "attention_head_dim": (2, 4), "norm_num_groups": 2, "use_linear_projection": True,
        "flip_sin_to_cos": False, "freq_shift": 1, "transformer_layers_per_block": 2,
    },
}
AUTOENCODERS = {
    "autoencoder": {
        "in_channels": 3, "out_channels": 3, "sample_size": 8, "block_out_channels": (8, 16), "layers_per_block": 1,
        "down_block_types": ("DownEncoderBlock2D",) * 2, "up_block_types": ("UpDecoderBlock2D",) * 2,
        "latent_channels": 2, "norm_num_groups": 4, "scaling_factor": 0.5,
    },
}


def channels_last(x: Tensor) -> Tensor:
    return x.detach().permute(0, 2, 3, 1).contiguous()


def scattered(model: nn.Module, generator: torch.Generator) -> None:
    """No gain or bias may stay where a mistake would not be seen."""
    for parameter in model.parameters():
        if parameter.dim() == 1:
            parameter.data += 0.2 * torch.randn(parameter.shape, generator=generator)


def weights(count: int) -> Tensor:
    """Weights of a sum whose gradient looks at every output."""
    return torch.cos(1 + 1.7 * torch.arange(count, dtype=torch.float64)).float()


def record(name: str, model: nn.Module, outputs: dict[str, Tensor], loss: Tensor, inputs: dict[str, Tensor]) -> None:
    folder = FIXTURES / name
    model.save_pretrained(folder)
    config = json.loads((folder / "config.json").read_text())
    config.pop("_diffusers_version", None)
    write_json(folder / "config.json", config)
    stored = load_file(folder / "diffusion_pytorch_model.safetensors")
    loss.backward()
    gradients = {key: value.grad for key, value in model.named_parameters()}
    assert set(gradients) == set(stored)
    recorded = inputs | {"loss": loss.detach()} | outputs
    recorded |= {f"gradient.{key}": torch.zeros_like(stored[key]) if value is None else value for key, value in gradients.items()}
    save_file({key: value.contiguous() for key, value in recorded.items()}, folder / "recorded.safetensors")


def record_unet(name: str) -> None:
    torch.manual_seed(1)
    model = UNet2DConditionModel(**UNETS[name]).eval()
    generator = torch.Generator().manual_seed(4)
    scattered(model, generator)
    size, channels, width = model.config.sample_size, model.config.in_channels, model.config.cross_attention_dim
    noisy = torch.randn(2, channels, size, size, generator=generator)
    times, text = torch.tensor([3.0, 421.5]), torch.randn(2, 5, width, generator=generator)
    lengths = torch.tensor([5, 3])
    mask = torch.arange(5)[None] < lengths[:, None]
    output = model(noisy, times, text, encoder_attention_mask=mask).sample
    out = output.permute(0, 2, 3, 1)
    loss = (out.flatten() * weights(out.numel())).sum()
    inputs = {"noisy": channels_last(noisy), "times": times, "text": text, "lengths": lengths.int()}
    record(name, model, {"output": channels_last(output)}, loss, inputs)


def record_autoencoder(name: str) -> None:
    torch.manual_seed(1)
    model = AutoencoderKL(**AUTOENCODERS[name]).eval()
    generator = torch.Generator().manual_seed(4)
    scattered(model, generator)
    pictures = torch.randn(2, 3, 8, 8, generator=generator)
    moments = model.encode(pictures).latent_dist
    decoded = model.decode(moments.mean).sample
    out = decoded.permute(0, 2, 3, 1)
    loss = (out.flatten() * weights(out.numel())).sum() + moments.kl().sum()
    outputs = {
        "mean": channels_last(moments.mean), "log_variance": channels_last(moments.logvar),
        "kl": moments.kl().detach(), "decoded": channels_last(decoded),
    }
    record(name, model, outputs, loss, {"pictures": channels_last(pictures)})


if __name__ == "__main__":
    names = sys.argv[1:] or [*UNETS, *AUTOENCODERS]
    for name in names:
        record_unet(name) if name in UNETS else record_autoencoder(name)
