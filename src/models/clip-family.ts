import { z } from "zod";
import { parameters } from "../nn/parameters.ts";
import { ActivationName, activationNamed, nameOfActivation } from "./activation-names.ts";
import type { ClipSettings } from "./clip.ts";
import { Clip } from "./clip.ts";
import { parseConfig } from "./config.ts";
import { layersOrNone, size } from "./config-numbers.ts";
import type { ModelConfig, ModelFamily, SpecialIds, TensorBinding } from "./family.ts";
import { defineFamily } from "./family.ts";
import { packedTensors } from "./packed-tensors.ts";

const epsilon = z.number().positive().default(1e-5);
// What a config leaves out is as in the first CLIP, ViT-B/32.
const TextConfig = z.object({
  vocab_size: size.default(49_408),
  hidden_size: size.default(512),
  intermediate_size: size.default(2048),
  num_hidden_layers: layersOrNone.default(12),
  num_attention_heads: size.default(8),
  max_position_embeddings: size.default(77),
  hidden_act: ActivationName.default("quick_gelu"),
  layer_norm_eps: epsilon,
  pooling: z.enum(["last", "mean"]).default("last"),
});
const VisionConfig = z.object({
  hidden_size: size.default(768),
  intermediate_size: size.default(3072),
  num_hidden_layers: layersOrNone.default(12),
  num_attention_heads: size.default(12),
  num_channels: z.literal(3).default(3),
  image_size: size.default(224),
  patch_size: size.default(32),
  hidden_act: ActivationName.default("quick_gelu"),
  layer_norm_eps: epsilon,
});
const ClipConfig = z.object({
  text_config: TextConfig.prefault({}),
  vision_config: VisionConfig.prefault({}),
  projection_dim: size.default(512),
  logit_bias: z.boolean().default(false),
});

/**
 * CLIP as `transformers` writes it, and, under a `model_type` of its own, one of whose parts that library has no model: a
 * text that is the mean of its words, a bias as SigLIP has it.
 */
function clipFamily(modelType: "clip" | "stemma-clip"): ModelFamily<ClipSettings, Clip> {
  return defineFamily({
    modelType,
    summary: "pictures and texts in one space",
    architecture: "encoder",
    optionalPrefix: "",
    ignoredTensors: /embeddings\.position_ids$/,
    shaped: ({ vocabularySize, context, width, layers: count, heads }): ClipSettings => {
      const tower = { width, layers: count, heads, hidden: 4 * width, activation: "gelu", normEpsilon: 1e-5 } as const;
      const vision = { ...tower, imageSize: 32, patchSize: 8 };
      return {
        vision,
        text: { ...tower, vocabularySize, context, pooling: "last" },
        projection: width,
        hasBias: false,
      };
    },
    create: (settings, init) => new Clip(settings, init),
    readConfig: readClip,
    writeConfig: (settings, ids) => writeClip(modelType, settings, ids),
    tensors: bindings,
  });
}

/** CLIP. */
export const clip = clipFamily("clip");
/** CLIP with parts of other models. */
export const ownClip = clipFamily("stemma-clip");

/** The family that a model of these settings is of. */
export function clipFamilyOf({ text, hasBias }: ClipSettings): ModelFamily<ClipSettings, Clip> {
  return text.pooling === "last" && !hasBias ? clip : ownClip;
}

function readClip(config: ModelConfig): ClipSettings {
  const { text_config: text, vision_config: vision, projection_dim, logit_bias } = parseConfig(ClipConfig, config);
  const tower = (keys: typeof text | typeof vision): Omit<ClipSettings["vision"], "imageSize" | "patchSize"> => ({
    width: keys.hidden_size,
    layers: keys.num_hidden_layers,
    heads: keys.num_attention_heads,
    hidden: keys.intermediate_size,
    activation: activationNamed(keys.hidden_act),
    normEpsilon: keys.layer_norm_eps,
  });
  return {
    vision: { ...tower(vision), imageSize: vision.image_size, patchSize: vision.patch_size },
    text: {
      ...tower(text),
      vocabularySize: text.vocab_size,
      context: text.max_position_embeddings,
      pooling: text.pooling,
    },
    projection: projection_dim,
    hasBias: logit_bias,
  };
}

function writeClip(modelType: string, settings: ClipSettings, ids: SpecialIds): ModelConfig {
  const { vision, text, projection, hasBias } = settings;
  const isOwn = modelType !== "clip";
  const tower = (part: ClipSettings["vision"] | ClipSettings["text"]): ModelConfig => ({
    hidden_size: part.width,
    intermediate_size: part.hidden,
    num_hidden_layers: part.layers,
    num_attention_heads: part.heads,
    hidden_act: nameOfActivation(part.activation),
    layer_norm_eps: part.normEpsilon,
    projection_dim: projection,
    attention_dropout: 0,
  });
  return {
    model_type: modelType,
    ...(!isOwn && { architectures: ["CLIPModel"] }),
    projection_dim: projection,
    logit_scale_init_value: 2.6592,
    text_config: {
      model_type: "clip_text_model",
      ...tower(text),
      vocab_size: text.vocabularySize,
      max_position_embeddings: text.context,
      bos_token_id: ids.beginOfText ?? null,
      eos_token_id: ids.endOfText,
      ...(isOwn && { pooling: text.pooling }),
    },
    vision_config: {
      model_type: "clip_vision_model",
      ...tower(vision),
      num_channels: 3,
      image_size: vision.imageSize,
      patch_size: vision.patchSize,
    },
    ...(isOwn && { logit_bias: hasBias }),
  };
}

/** Field paths and what folders call them, applied in order. */
const renamings = [
  [/^vision\.classEmbedding$/, "vision_model.embeddings.class_embedding"],
  [/^vision\.patchEmbedding$/, "vision_model.embeddings.patch_embedding.weight"],
  [/^(vision|text)\.positionEmbedding$/, "$1_model.embeddings.position_embedding.weight"],
  [/^text\.tokenEmbedding$/, "text_model.embeddings.token_embedding.weight"],
  [/^vision\.inputNorm/, "vision_model.pre_layrnorm"],
  [/^vision\.finalNorm/, "vision_model.post_layernorm"],
  [/^text\.finalNorm/, "text_model.final_layer_norm"],
  [/^(vision|text)\.blocks/, "$1_model.encoder.layers"],
  [/attentionNorm/, "layer_norm1"],
  [/mlpNorm/, "layer_norm2"],
  [/attention\.projection/, "self_attn.out_proj"],
  [/mlp\.expansion/, "mlp.fc1"],
  [/mlp\.projection/, "mlp.fc2"],
  [/^pictureProjection/, "visual_projection"],
  [/^textProjection/, "text_projection"],
  [/^logitScale$/, "logit_scale"],
  [/^logitBias$/, "logit_bias"],
  [/\.gain$/, ".weight"],
] as const;

function bindings(model: Clip): TensorBinding[] {
  return [...parameters(model)].flatMap(([path, parameter]) => {
    const name = renamings.reduce((text, [from, to]) => text.replace(from, to), path);
    const [, before, part] = /^(.*)attention\.qkv\.(\w+)$/.exec(name) ?? [];
    if (before !== undefined) {
      const rows = parameter.axis(0) / 3;
      return packedTensors(
        parameter,
        ["q", "k", "v"].map((kind): [string, number] => [`${before}self_attn.${kind}_proj.${part}`, rows]),
      );
    }
    const { patchSize, width } = model.settings.vision;
    const isPatches = parameter === model.vision.patchEmbedding;
    const stored = isPatches ? parameter.window(0, [width, 3, patchSize, patchSize]) : parameter;
    return [{ name, parameter: stored, transposed: false }];
  });
}
