import { z } from "zod";
import { CheckpointError } from "../../core/errors.ts";
import { parseConfig } from "../config.ts";
import { layerCount, rate, size } from "../config-numbers.ts";
import type { DiffusersPart } from "./diffusers-folder.ts";
import type { UNetLevel, UNetSettings } from "./unet.ts";
import { UNet } from "./unet.ts";

const down = { text: "CrossAttnDownBlock2D", plain: "DownBlock2D" } as const;
const up = { text: "CrossAttnUpBlock2D", plain: "UpBlock2D" } as const;

/** A key that has one value here, or is not there. */
const only = <Value extends string | number | boolean>(value: Value) => z.literal(value).nullish();
const absent = z.null().optional();

const Config = z.object({
  sample_size: size.nullish(),
  in_channels: size.default(4),
  out_channels: size.default(4),
  flip_sin_to_cos: z.boolean().default(true),
  freq_shift: z.number().default(0),
  down_block_types: z.array(z.enum([down.text, down.plain])).default([down.text, down.text, down.text, down.plain]),
  mid_block_type: only("UNetMidBlock2DCrossAttn"),
  up_block_types: z.array(z.enum([up.text, up.plain])).default([up.plain, up.text, up.text, up.text]),
  block_out_channels: z.array(size).min(1).max(16).default([320, 640, 1280, 1280]),
  layers_per_block: layerCount.default(2),
  transformer_layers_per_block: layerCount.default(1),
  cross_attention_dim: size.default(1280),
  attention_head_dim: z.union([size, z.array(size)]).default(8),
  use_linear_projection: z.boolean().default(false),
  norm_num_groups: size.default(32),
  norm_eps: z.number().positive().default(1e-5),
  dropout: rate.default(0),
  act_fn: z.enum(["silu", "swish"]).default("silu"),
  upcast_attention: z.boolean().nullish(),
  ...{ downsample_padding: only(1), mid_block_scale_factor: only(1), resnet_out_scale_factor: only(1) },
  ...{ conv_in_kernel: only(3), conv_out_kernel: only(3) },
  ...{
    resnet_time_scale_shift: only("default"),
    time_embedding_type: only("positional"),
    attention_type: only("default"),
  },
  ...{ center_input_sample: only(false), only_cross_attention: only(false), dual_cross_attention: only(false) },
  ...{
    resnet_skip_time_act: only(false),
    class_embeddings_concat: only(false),
    mid_block_only_cross_attention: only(false),
  },
  ...{ class_embed_type: absent, addition_embed_type: absent, num_class_embeds: absent, encoder_hid_dim: absent },
  ...{
    encoder_hid_dim_type: absent,
    time_embedding_dim: absent,
    time_embedding_act_fn: absent,
    timestep_post_act: absent,
  },
  ...{ time_cond_proj_dim: absent, cross_attention_norm: absent, num_attention_heads: absent },
  reverse_transformer_layers_per_block: absent,
});

function levelsOf(keys: z.infer<typeof Config>): readonly UNetLevel[] {
  const { block_out_channels: channels, down_block_types: types, up_block_types: upTypes } = keys;
  const heads = headsOf(keys);
  const hasText = types.map((type) => type === down.text);
  const isMirrored = upTypes.every((type, i) => (type === up.text) === hasText.at(-1 - i));
  if (types.length !== channels.length || upTypes.length !== channels.length || !isMirrored) {
    throw new CheckpointError(
      "config.json: up_block_types must be down_block_types in reverse, as many as block_out_channels has; others are not " +
        "supported, choose another model",
    );
  }
  return channels.map((own, i) => ({ channels: own, heads: hasText[i] ? (heads[i] ?? 1) : null }));
}

/** Heads of each level: what the key says, which its name does not. */
function headsOf({ attention_head_dim: heads, block_out_channels: { length } }: z.infer<typeof Config>): number[] {
  const all = typeof heads === "number" ? Array<number>(length).fill(heads) : heads;
  if (all.length === length) return all;
  throw new CheckpointError(
    `config.json: attention_head_dim has ${all.length} numbers for ${length} blocks; correct the file or fetch it again`,
  );
}

/** How a {@link UNet} lies in a folder: `UNet2DConditionModel`. */
export const unetPart: DiffusersPart<UNetSettings, UNet> = {
  className: "UNet2DConditionModel",
  settingsOf: (model) => model.settings,
  create: (settings, init) => new UNet(settings, init),
  readConfig(config) {
    const keys = parseConfig(Config, config);
    return {
      ...{ channels: keys.in_channels, outputChannels: keys.out_channels, pictureSize: keys.sample_size ?? null },
      ...{ levels: levelsOf(keys), middleHeads: headsOf(keys).at(-1) ?? 1, layers: keys.layers_per_block },
      ...{ transformerLayers: keys.transformer_layers_per_block, textWidth: keys.cross_attention_dim },
      ...{ groups: keys.norm_num_groups, normEpsilon: keys.norm_eps, dropout: keys.dropout },
      ...{ cosinesFirst: keys.flip_sin_to_cos, frequencyShift: keys.freq_shift },
      hasLinearProjections: keys.use_linear_projection,
    };
  },
  writeConfig({ levels, middleHeads, ...settings }) {
    const hasText = levels.map(({ heads }) => heads !== null);
    return {
      ...{ in_channels: settings.channels, out_channels: settings.outputChannels, sample_size: settings.pictureSize },
      down_block_types: hasText.map((has) => (has ? down.text : down.plain)),
      mid_block_type: "UNetMidBlock2DCrossAttn",
      up_block_types: hasText.toReversed().map((has) => (has ? up.text : up.plain)),
      block_out_channels: levels.map(({ channels }) => channels),
      // Of a level without attention the number means nothing, but for the last, whose middle has it.
      attention_head_dim: levels.map(({ heads }, i) =>
        i === levels.length - 1 ? middleHeads : (heads ?? middleHeads),
      ),
      ...{ layers_per_block: settings.layers, transformer_layers_per_block: settings.transformerLayers },
      ...{ cross_attention_dim: settings.textWidth, use_linear_projection: settings.hasLinearProjections },
      ...{
        norm_num_groups: settings.groups,
        norm_eps: settings.normEpsilon,
        dropout: settings.dropout,
        act_fn: "silu",
      },
      ...{ flip_sin_to_cos: settings.cosinesFirst, freq_shift: settings.frequencyShift },
    };
  },
  renamings: [
    [/^(down|up)Blocks/, "$1_blocks"],
    [/^middle/, "mid_block"],
    [/^convIn/, "conv_in"],
    [/^convOut/, "conv_out"],
    [/^normOut/, "conv_norm_out"],
    [/^timeEmbedding\.linear/, "time_embedding.linear_"],
    [/(down|up)sampler\./, "$1samplers.0.conv."],
    [/timeProjection/, "time_emb_proj"],
    [/shortcut/, "conv_shortcut"],
    [/projectIn/, "proj_in"],
    [/projectOut/, "proj_out"],
    [/(attentions\.\d+)\.blocks/, "$1.transformer_blocks"],
    [/selfAttention/, "attn1"],
    [/crossAttention/, "attn2"],
    [/(attn\d)\.(query|key|value)/, "$1.to_$2"],
    [/to_query/, "to_q"],
    [/to_key/, "to_k"],
    [/to_value/, "to_v"],
    [/(attn\d)\.projection/, "$1.to_out.0"],
    [/(transformer_blocks\.\d+)\.up\./, "$1.ff.net.0.proj."],
    [/(transformer_blocks\.\d+)\.down\./, "$1.ff.net.2."],
    [/\.gain$/, ".weight"],
  ],
  stored(name, parameter, { hasLinearProjections }) {
    const [out = 0, , , channels = 0] = parameter.shape;
    if (hasLinearProjections && /\.proj_(in|out)\.weight$/.test(name)) {
      return { tensor: parameter.window(0, [out, channels]), filters: false };
    }
    // Files have the value before the gate.
    if (!name.includes(".ff.net.0.proj.")) return {};
    const half = parameter.axis(0) / 2;
    return { rows: Int32Array.from({ length: 2 * half }, (_, i) => (i + half) % (2 * half)) };
  },
};
