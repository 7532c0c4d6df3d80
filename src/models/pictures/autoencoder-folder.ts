import { z } from "zod";
import { CheckpointError } from "../../core/errors.ts";
import { parseConfig } from "../config.ts";
import { layerCount, size } from "../config-numbers.ts";
import type { AutoencoderSettings } from "./autoencoder.ts";
import { Autoencoder } from "./autoencoder.ts";
import type { DiffusersPart } from "./diffusers-folder.ts";

const absent = z.null().optional();

const Config = z.object({
  in_channels: size.default(3),
  out_channels: size.default(3),
  down_block_types: z.array(z.literal("DownEncoderBlock2D")).optional(),
  up_block_types: z.array(z.literal("UpDecoderBlock2D")).optional(),
  block_out_channels: z.array(size).min(1).max(16).default([64]),
  layers_per_block: layerCount.default(1),
  act_fn: z.enum(["silu", "swish"]).default("silu"),
  latent_channels: size.default(4),
  norm_num_groups: size.default(32),
  sample_size: size.nullish(),
  scaling_factor: z.number().positive().default(0.18215),
  shift_factor: z.number().nullish(),
  ...{ latents_mean: absent, latents_std: absent },
  force_upcast: z.boolean().nullish(),
  use_quant_conv: z.boolean().default(true),
  use_post_quant_conv: z.boolean().default(true),
  mid_block_add_attention: z.literal(true).nullish(),
});

/** How an {@link Autoencoder} lies in a folder: `AutoencoderKL`. */
export const autoencoderPart: DiffusersPart<AutoencoderSettings, Autoencoder> = {
  className: "AutoencoderKL",
  settingsOf: (model) => model.settings,
  create: (settings, init) => new Autoencoder(settings, init),
  readConfig(config) {
    const keys = parseConfig(Config, config);
    if (keys.in_channels !== keys.out_channels) {
      throw new CheckpointError(
        `config.json: out_channels is ${keys.out_channels}, in_channels ${keys.in_channels}; pictures that become others are not supported`,
      );
    }
    return {
      ...{ channels: keys.in_channels, latentChannels: keys.latent_channels, levels: keys.block_out_channels },
      ...{ layers: keys.layers_per_block, groups: keys.norm_num_groups, pictureSize: keys.sample_size ?? null },
      ...{ scale: keys.scaling_factor, shift: keys.shift_factor ?? 0 },
      ...{ mixesMoments: keys.use_quant_conv, mixesLatents: keys.use_post_quant_conv },
    };
  },
  writeConfig: (settings) => ({
    ...{ in_channels: settings.channels, out_channels: settings.channels, latent_channels: settings.latentChannels },
    down_block_types: settings.levels.map(() => "DownEncoderBlock2D"),
    up_block_types: settings.levels.map(() => "UpDecoderBlock2D"),
    ...{
      block_out_channels: [...settings.levels],
      layers_per_block: settings.layers,
      norm_num_groups: settings.groups,
    },
    ...{ act_fn: "silu", sample_size: settings.pictureSize },
    ...{ scaling_factor: settings.scale, shift_factor: settings.shift === 0 ? null : settings.shift },
    ...{ use_quant_conv: settings.mixesMoments, use_post_quant_conv: settings.mixesLatents },
  }),
  renamings: [
    [/^momentsMixer/, "quant_conv"],
    [/^latentsMixer/, "post_quant_conv"],
    [/\.(down|up)Blocks/, ".$1_blocks"],
    [/\.middle/, ".mid_block"],
    [/\.convIn/, ".conv_in"],
    [/\.convOut/, ".conv_out"],
    [/\.normOut/, ".conv_norm_out"],
    [/(down|up)sampler\./, "$1samplers.0.conv."],
    [/shortcut/, "conv_shortcut"],
    [/(attentions\.\d+)\.norm/, "$1.group_norm"],
    [/\.attention\.projection/, ".to_out.0"],
    [/\.attention\.query/, ".to_q"],
    [/\.attention\.key/, ".to_k"],
    [/\.attention\.value/, ".to_v"],
    [/\.gain$/, ".weight"],
  ],
  spellings: [
    [/(attentions\.\d+)\.proj_attn\./, "$1.to_out.0."],
    [/(attentions\.\d+)\.query\./, "$1.to_q."],
    [/(attentions\.\d+)\.key\./, "$1.to_k."],
    [/(attentions\.\d+)\.value\./, "$1.to_v."],
  ],
};
