"""LoRA with PEFT: a Llama of transformers whose linear layers all have adapters, which alone are trained. See training.py.

The shape has `loraRank`, `loraAlpha` and `weights`, the type of the frozen base, beside a Llama's sizes.
"""

from training import Shape, next_tokens, serve

import torch
from peft import LoraConfig, get_peft_model
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import LlamaConfig, LlamaForCausalLM

LINEAR = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


class Adapted(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        config = LlamaConfig(
            vocab_size=shape["vocabulary"],
            hidden_size=shape["width"],
            intermediate_size=shape["hidden"],
            num_hidden_layers=shape["layers"],
            num_attention_heads=shape["heads"],
            num_key_value_heads=shape["keyValueHeads"],
            max_position_embeddings=shape["context"],
            tie_word_embeddings=True,
            use_cache=False,
        )
        base = LlamaForCausalLM(config).to(getattr(torch, shape["weights"]))
        lora = LoraConfig(r=shape["loraRank"], lora_alpha=shape["loraAlpha"], target_modules=LINEAR, task_type="CAUSAL_LM")
        self.model = get_peft_model(base, lora)

    def forward(self, ids: Tensor, targets: Tensor) -> Tensor:
        logits = self.model(input_ids=ids).logits
        return F.cross_entropy(logits.flatten(0, 1).float(), targets.flatten())


def prepare(shape: Shape) -> tuple[nn.Module, tuple[Tensor, ...]]:
    return Adapted(shape), next_tokens(shape)


if __name__ == "__main__":
    serve(prepare)
