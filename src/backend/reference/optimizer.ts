import type { AdamWStep, AverageStep, Kernels } from "../kernels.ts";
import { floats } from "./storage.ts";

/** Updates of parameters in place. */
export const optimizers = {
  adamw(step: AdamWStep): void {
    const { beta1, beta2, epsilon } = step;
    const rateScales = step.rateScales && floats(step.rateScales);
    const scale = floats(step.gradientScale)[0]!;
    const correction1 = 1 - beta1 ** step.step;
    const correction2 = 1 - beta2 ** step.step;
    step.parameters.forEach((view, index) => {
      const [parameter, gradient] = [floats(view), floats(step.gradients[index]!)];
      const [first, second] = [floats(step.firstMoments[index]!), floats(step.secondMoments[index]!)];
      const learningRate = step.learningRate * (rateScales?.[index] ?? 1);
      const decay = 1 - learningRate * step.weightDecays[index]!;
      for (let i = 0; i < parameter.length; i++) {
        const g = gradient[i]! * scale;
        first[i] = beta1 * first[i]! + (1 - beta1) * g;
        second[i] = beta2 * second[i]! + (1 - beta2) * g * g;
        const update = first[i]! / correction1 / (Math.sqrt(second[i]! / correction2) + epsilon);
        parameter[i] = decay * parameter[i]! - learningRate * update;
      }
    });
  },
  average({ averages, parameters, decay }: AverageStep): void {
    averages.forEach((view, index) => {
      const [average, parameter] = [floats(view), floats(parameters[index]!)];
      for (let i = 0; i < average.length; i++) average[i] = decay * average[i]! + (1 - decay) * parameter[i]!;
    });
  },
} satisfies Partial<Kernels>;
