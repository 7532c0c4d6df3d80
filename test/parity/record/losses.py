"""Objectives of alignment: reward models, PPO and DPO, as functions of a few small tensors."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from recorder import write_json
from tensor_file import write_safetensors

Tensors = dict[str, Tensor]
Settings = dict[str, float | str]

BATCH, TIME, ANSWERS = 5, 9, 4


@dataclass
class Case:
    """One call. The gradient of the output "loss" is recorded for the inputs that are named in `differentiate`."""

    function: Callable[..., Tensors]
    inputs: Tensors
    settings: Settings
    differentiate: tuple[str, ...] = ()

    def record(self) -> Tensors:
        inputs = {name: x.double() if x.is_floating_point() else x for name, x in self.inputs.items()}
        for name in self.differentiate:
            inputs[name].requires_grad_()
        outputs = self.function(**inputs, **self.settings)
        if self.differentiate:
            outputs["loss"].backward()
        gradients = {f"gradient.{name}": inputs[name].grad for name in self.differentiate}
        return {
            **{f"input.{name}": x for name, x in inputs.items()},
            **{f"output.{name}": x for name, x in outputs.items()},
            **gradients,
        }


@dataclass
class LossFixture:
    """Cases of related functions: `cases.json` has their settings, `recorded.safetensors` their tensors."""

    cases: dict[str, Case]

    def write(self, folder: Path) -> str:
        folder.mkdir(parents=True, exist_ok=True)
        recorded = {
            f"{name}.{key}": tensor for name, case in self.cases.items() for key, tensor in case.record().items()
        }
        write_safetensors(folder / "recorded.safetensors", recorded)
        write_json(
            folder / "cases.json",
            {
                name: {
                    "function": case.function.__name__,
                    "inputs": list(case.inputs),
                    "settings": case.settings,
                    "gradients": list(case.differentiate),
                }
                for name, case in self.cases.items()
            },
        )
        return f"{len(self.cases)} cases"


def pairwise_reward(chosen: Tensor, rejected: Tensor, margins: Tensor, center_coefficient: float) -> Tensors:
    """−log σ(r_chosen − r_rejected − margin), and a pull of the rewards' sum to 0. All are [batch]."""
    loss = -F.logsigmoid(chosen - rejected - margins).mean()
    accuracy = (chosen > rejected).double().mean()
    return {"loss": loss + center_coefficient * (chosen + rejected).square().mean(), "accuracy": accuracy}


def k_wise_reward(rewards: Tensor, ranks: Tensor, margin_per_rank: float) -> Tensors:
    """
    Ouyang et al. (2022), equation 1: for each prompt the mean of −log σ(r_better − r_worse − margin) over its pairs,
    then the mean over prompts. Rewards and ranks are [prompts, answers], rank 1 is best, equal ranks make no pair. The
    margin, as in Touvron et al. (2023), section 3.2.2, grows with how much one is preferred: here by their ranks.
    """
    per_prompt, right, pairs = [], 0, 0
    for reward, rank in zip(rewards, ranks):
        terms = []
        for better in range(len(rank)):
            for worse in range(len(rank)):
                if rank[better] < rank[worse]:
                    difference = reward[better] - reward[worse]
                    terms.append(-F.logsigmoid(difference - margin_per_rank * (rank[worse] - rank[better])))
                    right += int(difference > 0)
        per_prompt.append(torch.stack(terms).mean())
        pairs += len(terms)
    return {"loss": torch.stack(per_prompt).mean(), "accuracy": torch.tensor(right / pairs)}


def masked_mean(x: Tensor, mask: Tensor) -> Tensor:
    return (x * mask).sum() / mask.sum()


def ppo_policy(log_probs: Tensor, old_log_probs: Tensor, advantages: Tensor, mask: Tensor, clip: float) -> Tensors:
    """Schulman et al. (2017), equation 7, as a loss; tokens [batch, time], the mean over those that count."""
    difference = log_probs - old_log_probs
    ratio = difference.exp()
    plain, clipped = -advantages * ratio, -advantages * ratio.clamp(1 - clip, 1 + clip)
    return {
        "loss": masked_mean(torch.maximum(plain, clipped), mask),
        "clip_fraction": masked_mean((clipped > plain).double(), mask),
        "approximate_kl": 0.5 * masked_mean(difference.square(), mask),
        "mean_ratio": masked_mean(ratio, mask),
    }


def ppo_value(values: Tensor, old_values: Tensor, returns: Tensor, mask: Tensor, clip: float) -> Tensors:
    """Half the squared error, the larger of plain and clipped around the old values."""
    plain = (values - returns).square()
    clipped = (old_values + (values - old_values).clamp(-clip, clip) - returns).square()
    return {
        "loss": 0.5 * masked_mean(torch.maximum(plain, clipped), mask),
        "clip_fraction": masked_mean((clipped > plain).double(), mask),
    }


def generalized_advantages(rewards: Tensor, values: Tensor, mask: Tensor, gamma: float, lam: float) -> Tensors:
    """
    Schulman et al. (2016), equation 16: Â_t = Σ (γλ)^l δ_{t+l}, δ_t = r_t + γ V_{t+1} − V_t, where V is 0 after the
    last token that counts. Returns are advantages + values. Both are 0 on padding.
    """
    rewards, values = rewards * mask, values * mask
    advantages = torch.zeros_like(rewards)
    following = torch.zeros_like(rewards[:, 0])
    for t in reversed(range(rewards.shape[1])):
        next_value = values[:, t + 1] if t + 1 < rewards.shape[1] else torch.zeros_like(following)
        delta = rewards[:, t] + gamma * next_value - values[:, t]
        following = (delta + gamma * lam * following) * mask[:, t]
        advantages[:, t] = following
    return {"advantages": advantages, "returns": advantages + values}


def whiten(x: Tensor, mask: Tensor) -> Tensors:
    """Mean 0 and variance 1 (unbiased) over the tokens that count; 0 on the others."""
    mean = masked_mean(x, mask)
    variance = ((x - mean).square() * mask).sum() / (mask.sum() - 1)
    return {"whitened": (x - mean) * torch.rsqrt(variance + 1e-8) * mask}


def kl_estimate(log_probs: Tensor, reference_log_probs: Tensor, mask: Tensor, estimator: str) -> Tensors:
    """Schulman (2020), "Approximating KL divergence", from samples of the policy; each token, and their mean."""
    log_ratio = log_probs - reference_log_probs
    per_token = {
        "k1": log_ratio,
        "k2": 0.5 * log_ratio.square(),
        "k3": (-log_ratio).exp() - 1 + log_ratio,
    }[estimator]
    return {"per_token": per_token, "loss": masked_mean(per_token, mask)}


def token_log_probs(logits: Tensor, ids: Tensor, temperature: float) -> Tensors:
    """Log-probability of each id at a temperature, and the entropy of each position; loss: the mean of both sums."""
    log_probs = (logits / temperature).log_softmax(-1)
    picked = log_probs.gather(-1, ids[..., None]).squeeze(-1)
    entropy = -(log_probs.exp() * log_probs).sum(-1)
    return {"log_probs": picked, "entropy": entropy, "loss": (picked + entropy).mean()}


def dpo(
    policy_chosen: Tensor,
    policy_rejected: Tensor,
    reference_chosen: Tensor,
    reference_rejected: Tensor,
    loss: str,
    beta: float,
    label_smoothing: float,
) -> Tensors:
    """
    Rafailov et al. (2023), equation 7; its label smoothing: Mitchell (2023); IPO: Azar et al. (2024), equation 17, whose
    log-probabilities are means over tokens; hinge: Zhao et al. (2023), SLiC-HF. All inputs are [batch], one number a sequence.
    """
    margin = (policy_chosen - reference_chosen) - (policy_rejected - reference_rejected)
    losses = {
        "sigmoid": -F.logsigmoid(beta * margin) * (1 - label_smoothing) - F.logsigmoid(-beta * margin) * label_smoothing,
        "robust": (
            -F.logsigmoid(beta * margin) * (1 - label_smoothing) + F.logsigmoid(-beta * margin) * label_smoothing
        )
        / (1 - 2 * label_smoothing),
        "ipo": (margin - 1 / (2 * beta)).square(),
        "hinge": (1 - beta * margin).relu(),
    }[loss]
    return {
        "loss": losses.mean(),
        "chosen_rewards": beta * (policy_chosen - reference_chosen).detach(),
        "rejected_rewards": beta * (policy_rejected - reference_rejected).detach(),
        "accuracy": (margin > 0).double().mean(),
    }


def orpo(policy_chosen: Tensor, policy_rejected: Tensor, nll: Tensor, beta: float) -> Tensors:
    """
    Hong et al. (2024), equations 6 and 7: the negative log-likelihood of the chosen answers, and β times the log-sigmoid
    of the log odds ratio. `policy_*` are [batch], means over tokens; `nll` is a scalar.
    """
    log_odds = (policy_chosen - policy_rejected) - (
        torch.log1p(-torch.exp(policy_chosen)) - torch.log1p(-torch.exp(policy_rejected))
    )
    ratio = F.logsigmoid(log_odds)
    return {"loss": nll.mean() - beta * ratio.mean(), "log_odds_ratio": ratio.mean(), "log_odds": log_odds.mean()}


def simpo(policy_chosen: Tensor, policy_rejected: Tensor, beta: float, gamma: float) -> Tensors:
    """Meng et al. (2024), equation 6. [batch], means over tokens."""
    return {"loss": -F.logsigmoid(beta * (policy_chosen - policy_rejected - gamma / beta)).mean()}


def kto(
    policy: Tensor,
    reference: Tensor,
    desirable: Tensor,
    policy_mismatched: Tensor,
    reference_mismatched: Tensor,
    beta: float,
    desirable_weight: float,
    undesirable_weight: float,
) -> Tensors:
    """
    Ethayarajh et al. (2024), section 4. [batch], sums over tokens; the divergence is the mean over answers to other
    prompts, not below 0, and no gradient flows through it.
    """
    kl = (policy_mismatched - reference_mismatched).mean().detach().clamp(min=0)
    ratios = policy - reference
    wanted = desirable.bool()
    chosen = desirable_weight * (1 - torch.sigmoid(beta * (ratios[wanted] - kl)))
    rejected = undesirable_weight * (1 - torch.sigmoid(beta * (kl - ratios[~wanted])))
    return {"loss": torch.cat((chosen, rejected)).mean(), "kl": kl, "rewards": (beta * ratios).detach()}


def router_z(router_logits: Tensor) -> Tensors:
    """Zoph et al. (2022), "ST-MoE", equation 5: mean over tokens of (log Σ exp logits)²."""
    return {"loss": router_logits.logsumexp(-1).square().mean()}


def grpo(
    log_probs: Tensor,
    old_log_probs: Tensor,
    reference_log_probs: Tensor,
    advantages: Tensor,
    mask: Tensor,
    loss_type: str,
    epsilon: float,
    epsilon_high: float,
    beta: float,
    max_length: int,
) -> Tensors:
    """
    Shao et al. (2024), equation 3, with the clip of Yu et al. (2025) and the means of the variants. Tokens are
    [batch, time], advantages [batch].
    """
    ratio = (log_probs - old_log_probs).exp()
    clipped = ratio.clamp(1 - epsilon, 1 + epsilon_high)
    a = advantages[:, None]
    difference = reference_log_probs - log_probs
    kl = difference.exp() - difference - 1
    per_token = -torch.min(ratio * a, clipped * a) + beta * kl
    loss = {
        "grpo": ((per_token * mask).sum(-1) / mask.sum(-1)).mean(),
        "bnpo": masked_mean(per_token, mask),
        "dapo": masked_mean(per_token, mask),
        "dr_grpo": (per_token * mask).sum() / (per_token.shape[0] * max_length),
    }[loss_type]
    return {
        "loss": loss,
        "kl": masked_mean(kl, mask),
        "clipped_low": masked_mean(((ratio < 1 - epsilon) & (a < 0)).double(), mask),
        "clipped_high": masked_mean(((ratio > 1 + epsilon_high) & (a > 0)).double(), mask),
    }


def group_advantages(rewards: Tensor, scale: str) -> Tensors:
    """Rewards [groups, answers] against their group's mean, by the (unbiased) deviation of the group, of all, or by 1."""
    centered = rewards - rewards.mean(-1, keepdim=True)
    deviation = rewards.std(-1)
    divisor = {"group": deviation[:, None] + 1e-4, "batch": rewards.std() + 1e-4, "none": torch.ones(())}[scale]
    return {"advantages": centered / divisor, "deviations": deviation}


def distillation(student: Tensor, teacher: Tensor, divergence: str, beta: float, temperature: float) -> Tensors:
    """
    Agarwal et al. (2024), equation 1, and both directions of KL, times the temperature squared (Hinton et al., 2015);
    logits are [rows, vocabulary].
    """
    q, p = (student / temperature).log_softmax(-1), (teacher / temperature).log_softmax(-1)

    def kl(a: Tensor, b: Tensor) -> Tensor:
        return F.kl_div(b, a, reduction="none", log_target=True).sum(-1)

    if divergence == "jsd":
        m = torch.logsumexp(torch.stack([p + math.log(beta), q + math.log(1 - beta)]), dim=0)
        rows = beta * kl(p, m) + (1 - beta) * kl(q, m)
    else:
        rows = kl(p, q) if divergence == "forward" else kl(q, p)
    return {"rows": rows.detach() * temperature**2, "loss": rows.mean() * temperature**2}


def normal(*shape: int, seed: int, scale: float = 1.0) -> Tensor:
    return scale * torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def token_mask() -> Tensor:
    """1 up to each sequence's length, which differ."""
    lengths = torch.tensor([9, 4, 7, 1, 6])
    return (torch.arange(TIME) < lengths[:, None]).float()


def reward_losses() -> LossFixture:
    answers = {
        "rewards": normal(BATCH, ANSWERS, seed=70),
        "ranks": torch.tensor([[1, 2, 3, 4], [4, 2, 1, 3], [2, 1, 2, 3], [1, 1, 1, 2], [3, 4, 2, 1]]),
    }
    pair = {"rewards": normal(BATCH, 2, seed=71), "ranks": torch.tensor([[1, 2], [2, 1], [1, 2], [2, 1], [1, 2]])}
    scored = {"chosen": normal(BATCH, seed=72), "rejected": normal(BATCH, seed=73)}
    none = {"margins": torch.zeros(BATCH)}
    some = {"margins": torch.tensor([1.0, 2 / 3, 1 / 3, 0.0, 3.0])}
    both = ("chosen", "rejected")
    return LossFixture(
        {
            "pairwise": Case(pairwise_reward, {**scored, **none}, {"center_coefficient": 0.0}, both),
            "pairwise_margin": Case(pairwise_reward, {**scored, **some}, {"center_coefficient": 0.0}, both),
            "pairwise_centered": Case(pairwise_reward, {**scored, **none}, {"center_coefficient": 0.01}, both),
            "k_wise": Case(k_wise_reward, answers, {"margin_per_rank": 0.0}, ("rewards",)),
            "k_wise_margin": Case(k_wise_reward, answers, {"margin_per_rank": 1 / 3}, ("rewards",)),
            "k_wise_two": Case(k_wise_reward, pair, {"margin_per_rank": 0.0}, ("rewards",)),
        }
    )


def ppo_losses() -> LossFixture:
    log_probs, mask = normal(BATCH, TIME, seed=80) - 2, {"mask": token_mask()}
    policy = {
        "log_probs": log_probs,
        "old_log_probs": log_probs + normal(BATCH, TIME, seed=81, scale=0.3),
        "advantages": normal(BATCH, TIME, seed=82),
    }
    value = {
        "values": normal(BATCH, TIME, seed=83),
        "old_values": normal(BATCH, TIME, seed=83) + normal(BATCH, TIME, seed=84, scale=0.3),
        "returns": normal(BATCH, TIME, seed=85),
    }
    steps = {"rewards": normal(BATCH, TIME, seed=86), "values": normal(BATCH, TIME, seed=87)}
    kl = {"log_probs": log_probs, "reference_log_probs": log_probs + normal(BATCH, TIME, seed=88, scale=0.5)}
    logits = {
        "logits": normal(BATCH, TIME, 7, seed=89, scale=2.0),
        "ids": torch.randint(7, (BATCH, TIME), generator=torch.Generator().manual_seed(90)),
    }
    # At the first update of a batch the policy is the old one: the ratio is 1 and nothing is clipped.
    first = {**policy, "old_log_probs": log_probs.clone()}
    no_clip = 1e9
    return LossFixture(
        {
            "policy": Case(ppo_policy, {**policy, **mask}, {"clip": 0.2}, ("log_probs",)),
            "policy_unclipped": Case(ppo_policy, {**policy, **mask}, {"clip": no_clip}, ("log_probs",)),
            "policy_first_step": Case(ppo_policy, {**first, **mask}, {"clip": 0.2}, ("log_probs",)),
            "value": Case(ppo_value, {**value, **mask}, {"clip": 0.2}, ("values",)),
            "value_unclipped": Case(ppo_value, {**value, **mask}, {"clip": no_clip}, ("values",)),
            "advantages": Case(generalized_advantages, {**steps, **mask}, {"gamma": 1.0, "lam": 0.95}),
            "advantages_discounted": Case(generalized_advantages, {**steps, **mask}, {"gamma": 0.9, "lam": 0.8}),
            "whiten": Case(whiten, {"x": normal(BATCH, TIME, seed=91), **mask}, {}),
            "kl_k1": Case(kl_estimate, {**kl, **mask}, {"estimator": "k1"}, ("log_probs",)),
            "kl_k2": Case(kl_estimate, {**kl, **mask}, {"estimator": "k2"}, ("log_probs",)),
            "kl_k3": Case(kl_estimate, {**kl, **mask}, {"estimator": "k3"}, ("log_probs",)),
            "log_probs": Case(token_log_probs, logits, {"temperature": 1.0}, ("logits",)),
            "log_probs_temperature": Case(token_log_probs, logits, {"temperature": 0.7}, ("logits",)),
        }
    )


def grpo_losses() -> LossFixture:
    log_probs = normal(BATCH, TIME, seed=110) - 2
    inputs = {
        "log_probs": log_probs,
        "old_log_probs": log_probs + normal(BATCH, TIME, seed=111, scale=0.3),
        "reference_log_probs": log_probs + normal(BATCH, TIME, seed=112, scale=0.5),
        "advantages": normal(BATCH, seed=113),
        "mask": token_mask(),
    }
    constants: Settings = {"epsilon": 0.2, "epsilon_high": 0.28, "beta": 0.04, "max_length": 12}
    rewards = {"rewards": torch.tensor([[1.0, 0, 0, 0], [1, 1, 1, 1], [0.5, -1, 2, 0]])}
    return LossFixture(
        {
            **{
                kind: Case(grpo, inputs, {"loss_type": kind, **constants}, ("log_probs",))
                for kind in ("grpo", "bnpo", "dapo", "dr_grpo")
            },
            "no_reference": Case(grpo, inputs, {"loss_type": "dapo", **constants, "beta": 0.0}, ("log_probs",)),
            **{f"scale_{scale}": Case(group_advantages, rewards, {"scale": scale}) for scale in ("group", "batch", "none")},
        }
    )


def distillation_losses() -> LossFixture:
    logits = {"student": normal(BATCH, 7, seed=120, scale=2.0), "teacher": normal(BATCH, 7, seed=121, scale=2.0)}
    settings: dict[str, Settings] = {
        "forward": {"divergence": "forward", "beta": 0.5, "temperature": 1.0},
        "forward_warm": {"divergence": "forward", "beta": 0.5, "temperature": 3.0},
        "reverse": {"divergence": "reverse", "beta": 0.5, "temperature": 0.7},
        "jsd": {"divergence": "jsd", "beta": 0.5, "temperature": 1.0},
        "jsd_forward": {"divergence": "jsd", "beta": 0.1, "temperature": 2.0},
    }
    return LossFixture({name: Case(distillation, logits, chosen, ("student",)) for name, chosen in settings.items()})


def dpo_losses() -> LossFixture:
    reference = {"reference_chosen": normal(BATCH, seed=95) - 6, "reference_rejected": normal(BATCH, seed=96) - 6}
    policy = {
        "policy_chosen": reference["reference_chosen"] + normal(BATCH, seed=97, scale=3.0),
        "policy_rejected": reference["reference_rejected"] + normal(BATCH, seed=98, scale=3.0),
    }
    settings: dict[str, Settings] = {
        "sigmoid": {"loss": "sigmoid", "beta": 0.1, "label_smoothing": 0.0},
        "sigmoid_smoothed": {"loss": "sigmoid", "beta": 0.3, "label_smoothing": 0.1},
        "robust": {"loss": "robust", "beta": 0.3, "label_smoothing": 0.1},
        "ipo": {"loss": "ipo", "beta": 0.1, "label_smoothing": 0.0},
        "hinge": {"loss": "hinge", "beta": 0.4, "label_smoothing": 0.0},
    }
    inputs = {**policy, **reference}
    return LossFixture({name: Case(dpo, inputs, chosen, tuple(policy)) for name, chosen in settings.items()})


def reference_free_losses() -> LossFixture:
    """Mean log-probabilities a token, below 0; one of them is that of an answer the model is sure of."""
    policy = {
        "policy_chosen": torch.tensor([-0.4, -1.7, -0.02, -3.1, -1e-4]),
        "policy_rejected": torch.tensor([-0.9, -0.6, -2.2, -3.0, -0.3]),
    }
    return LossFixture(
        {
            "orpo": Case(orpo, {**policy, "nll": torch.tensor([0.8])}, {"beta": 0.1}, (*policy, "nll")),
            "simpo": Case(simpo, policy, {"beta": 2.0, "gamma": 0.5}, tuple(policy)),
        }
    )


def kto_losses() -> LossFixture:
    def inputs(shift: float) -> Tensors:
        reference, mismatched = normal(BATCH, seed=100) - 6, normal(BATCH, seed=101) - 9
        return {
            "policy": reference + normal(BATCH, seed=102, scale=3.0),
            "reference": reference,
            "desirable": torch.tensor([1.0, 0.0, 0.0, 1.0, 1.0]),
            "policy_mismatched": mismatched + normal(BATCH, seed=103) + shift,
            "reference_mismatched": mismatched,
        }

    weighted: Settings = {"beta": 0.3, "desirable_weight": 1.5, "undesirable_weight": 0.7}
    return LossFixture(
        {
            "kto": Case(kto, inputs(1.5), {"beta": 0.1, "desirable_weight": 1.0, "undesirable_weight": 1.0}, ("policy",)),
            "kto_weighted": Case(kto, inputs(1.5), weighted, ("policy",)),
            "kto_below_zero": Case(kto, inputs(-2.0), weighted, ("policy",)),
        }
    )


def router_losses() -> LossFixture:
    inputs = {"router_logits": normal(20, 5, seed=99, scale=2.0)}
    return LossFixture({"z": Case(router_z, inputs, {}, ("router_logits",))})


loss_fixtures = {
    "reward-losses": reward_losses,
    "ppo-losses": ppo_losses,
    "dpo-losses": dpo_losses,
    "grpo-losses": grpo_losses,
    "distillation-losses": distillation_losses,
    "reference-free-losses": reference_free_losses,
    "kto-losses": kto_losses,
    "router-losses": router_losses,
}
