/**
 * Keys of config.json, generation_config.json and adapter_config.json that `transformers` and PEFT declare as floats.
 * Their releases check the types of what they read, and refuse 1 where they declare 1.0.
 */
export const floatKeys: ReadonlySet<string> = new Set([
  // Rates of dropout, by the names of one family or another.
  ...["attention_dropout", "attention_probs_dropout_prob", "attn_pdrop", "classifier_dropout", "dropout"],
  ...["dropout_rate", "embd_pdrop", "hidden_dropout_prob", "lora_dropout", "resid_pdrop", "summary_first_dropout"],
  // Initial weights and norms.
  ...["initializer_factor", "initializer_range", "layer_norm_eps", "layer_norm_epsilon", "rms_norm_eps"],
  // Rotary positions.
  ...["factor", "high_freq_factor", "low_freq_factor", "rope_theta"],
  // Routed experts.
  ...["router_aux_loss_coef", "router_jitter_noise", "router_z_loss_coef"],
  // Generation.
  ...["length_penalty", "min_p", "repetition_penalty", "temperature", "top_p", "typical_p"],
]);
