/** Whether a path is that of a GGUF file, which holds model, tokenizer and chat template in one. */
export function isGgufPath(path: string): boolean {
  return /\.gguf$/i.test(path);
}
