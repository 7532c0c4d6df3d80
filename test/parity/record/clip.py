"""A tiny random CLIP of the transformers library: vectors, loss and gradients of a batch, and SigLIP's loss of its vectors.

Run it with transformers 5 and PyTorch 2 (scripts/peers.mjs makes such an environment): python clip.py
"""

from pathlib import Path

import torch
from decoders import saved
from recorder import token_ids, write_json
from safetensors.torch import save_file
from transformers import CLIPConfig, CLIPModel

BATCH, TIME, VOCABULARY, SIZE = 3, 7, 29, 8
LENGTHS = [7, 4, 5]
END = 28
FOLDER = Path(__file__).parent.parent / "fixtures" / "clip"
TOWER = {"num_hidden_layers": 2, "num_attention_heads": 2, "hidden_act": "quick_gelu", "initializer_range": 0.3}


def record() -> str:
    torch.manual_seed(1)
    config = CLIPConfig(
        text_config={
            **TOWER, "vocab_size": VOCABULARY, "hidden_size": 12, "intermediate_size": 20, "max_position_embeddings": 10,
            "bos_token_id": 27, "eos_token_id": END, "pad_token_id": 1,
        },
        vision_config={**TOWER, "hidden_size": 16, "intermediate_size": 24, "image_size": SIZE, "patch_size": 4},
        projection_dim=6,
        attn_implementation="eager",
    )
    model = CLIPModel(config).float().eval()
    generator = torch.Generator().manual_seed(4)
    for parameter in model.parameters():
        # Gains and biases start as ones and zeros; none may stay where a mistake would not be seen.
        if parameter.dim() <= 1:
            parameter.data += 0.2 * torch.randn(parameter.shape, generator=generator)
    written, weights = saved(model)
    lengths = torch.tensor(LENGTHS)
    places = torch.arange(TIME)[None]
    ids = torch.where(places < lengths[:, None] - 1, 3 + token_ids(BATCH, TIME, below=VOCABULARY - 6), END)
    mask = (places < lengths[:, None]).long()
    pixels = torch.randn(BATCH, 3, SIZE, SIZE, generator=generator)
    out = model(input_ids=ids, attention_mask=mask, pixel_values=pixels, return_loss=True)
    signs = 2 * torch.eye(BATCH) - 1
    siglip = -torch.nn.functional.logsigmoid(signs * (out.logits_per_image - 1.5)).sum() / BATCH
    out.loss.backward()
    for parameter in model.parameters():
        parameter.data = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
    _, gradients = saved(model)
    FOLDER.mkdir(parents=True, exist_ok=True)
    written.pop("transformers_version", None)
    write_json(FOLDER / "config.json", written)
    save_file({key: value.float().contiguous() for key, value in weights.items()}, FOLDER / "model.safetensors", {"format": "pt"})
    recorded = {
        "input_ids": ids.int(), "lengths": lengths.int(), "pixels": pixels.permute(0, 2, 3, 1).contiguous(),
        "pictures": out.image_embeds.detach(), "texts": out.text_embeds.detach(), "logits": out.logits_per_image.detach().contiguous(),
        "loss": out.loss.detach(), "siglip": siglip.detach(),
    }
    recorded |= {f"gradient.{key}": value.float().contiguous() for key, value in gradients.items()}
    save_file(recorded, FOLDER / "recorded.safetensors")
    return f"loss {float(out.loss):.4f}, {sorted(weights)}"


if __name__ == "__main__":
    print(record())
