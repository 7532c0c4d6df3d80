import type { FusedKernels, LstmCell, LstmCellGrad } from "../fused-kernels.ts";
import { floats, rowsOf } from "./storage.ts";
import { unaryFunctions } from "./unary.ts";

const sigmoid = unaryFunctions.sigmoid.value;

/** Steps of a long short-term memory. */
export const lstmCells = {
  lstmCell({ gates, before, cells, hidden }: LstmCell): void {
    const [gate, from, to, out] = [floats(gates), floats(before), floats(cells), floats(hidden)];
    eachUnit(rowsOf(cells), (at, [i, f, g, o]) => {
      gate[i] = sigmoid(gate[i]!);
      gate[f] = sigmoid(gate[f]!);
      gate[g] = Math.tanh(gate[g]!);
      gate[o] = sigmoid(gate[o]!);
      to[at] = gate[f]! * from[at]! + gate[i]! * gate[g]!;
      out[at] = gate[o]! * Math.tanh(to[at]!);
    });
  },
  lstmCellGrad({ gates, before, cells, dHidden, dCells, dSums }: LstmCellGrad): void {
    const [gate, from, to] = [floats(gates), floats(before), floats(cells)];
    const [dOut, dTo, dGate] = [floats(dHidden), floats(dCells), floats(dSums)];
    eachUnit(rowsOf(cells), (at, [i, f, g, o]) => {
      const [input, forget, candidate, output] = [gate[i]!, gate[f]!, gate[g]!, gate[o]!];
      const squashed = Math.tanh(to[at]!);
      const dCell = dTo[at]! + dOut[at]! * output * (1 - squashed ** 2);
      dGate[i] = dCell * candidate * input * (1 - input);
      dGate[f] = dCell * from[at]! * forget * (1 - forget);
      dGate[g] = dCell * input * (1 - candidate ** 2);
      dGate[o] = dOut[at]! * squashed * output * (1 - output);
      dTo[at] = dCell * forget;
    });
  },
} satisfies Partial<FusedKernels>;

type GatePlaces = readonly [input: number, forget: number, candidate: number, output: number];

/** Visits every unit of every row, with the places of its gates. */
function eachUnit([rows, width]: [number, number], visit: (at: number, gates: GatePlaces) => void): void {
  for (let row = 0; row < rows; row++) {
    for (let unit = 0; unit < width; unit++) {
      const input = 4 * row * width + unit;
      visit(row * width + unit, [input, input + width, input + 2 * width, input + 3 * width]);
    }
  }
}
