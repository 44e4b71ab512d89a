// Labels that a listener gives along a song, a value every quarter-second, with undo and redo.

import { DIMENSIONS } from "./curve.js";

export const STEP = 0.25; // seconds: 4 Hz

export function createTrack(seconds) {
  const count = Math.max(1, Math.ceil(seconds / STEP));
  const values = Object.fromEntries(DIMENSIONS.map((name) => [name, Array(count).fill(null)]));
  let [done, undone] = [[], []];
  let passage = null; // {dimensions, start, before: [[v, a], ..], after: [[v, a], ..]}

  const at = (k) => DIMENSIONS.map((dimension) => values[dimension][k]);
  const set = (k, pair) => DIMENSIONS.forEach((dimension, d) => (values[dimension][k] = pair[d]));
  const write = (start, pairs) => pairs.forEach((pair, k) => set(start + k, pair));

  function end() {
    if (passage?.after.length) {
      done.push(passage);
      undone = [];
    }
    passage = null;
  }

  return {
    values,
    times: Float64Array.from({ length: count }, (_, k) => k * STEP),
    at: (time) => at(Math.max(0, Math.min(count - 1, Math.floor(time / STEP)))),

    // Only these dimensions change; what was there before is replaced as far as the passage goes.
    begin(dimensions) {
      end(); // a passage that is under way
      passage = { dimensions, start: null, before: [], after: [] };
    },

    // The point, from where the passage is up to a time.
    put(time, point) {
      const now = Math.min(count - 1, Math.floor(time / STEP));
      passage.start ??= now;
      for (let k = passage.start + passage.after.length; k <= now; k++) {
        passage.before.push(at(k));
        set(k, DIMENSIONS.map((name, d) =>
          passage.dimensions.includes(name) ? Number(point[d].toFixed(3)) : values[name][k]));
        passage.after.push(at(k));
      }
    },

    end,

    undo() {
      const last = done.pop();
      undone.push(last);
      write(last.start, last.before);
    },

    redo() {
      const next = undone.pop();
      done.push(next);
      write(next.start, next.after);
    },

    canUndo: () => done.length > 0,
    canRedo: () => undone.length > 0,

    samples: () =>
      Array.from({ length: count }, (_, k) => [k * STEP, ...at(k)]).filter(
        ([, ...pair]) => pair.some((value) => value !== null),
      ),

    load(samples) {
      for (const [time, ...pair] of samples) {
        const k = Math.round(time / STEP);
        if (k < count) set(k, pair);
      }
    },
  };
}
