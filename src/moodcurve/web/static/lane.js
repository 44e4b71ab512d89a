// One dimension over time, drawn by uPlot: lines, a band, and dotted lines where the mood turns.

import uPlot from "./vendor/uPlot.esm.js";
import { clock, ENDS } from "./curve.js";
import { colour, element } from "./elements.js";

export const GUTTER = 40; // pixels left of the plot, for the axis
export const MARGIN = 10; // and right of it
const SECONDS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600];
const FONT = "12px system-ui, sans-serif";

// `withTimes`: whether the seconds are written below.
export function createLane(place, dimension, withTimes) {
  const canvas = element("div", { className: "plot" });
  const [low, high] = ENDS[dimension];
  place.append(
    element("span", { className: `lane-name ${dimension}`, textContent: dimension }),
    element("span", { className: "lane-end high", textContent: high }),
    element("span", { className: "lane-end low", textContent: low }),
    canvas,
  );
  let plot = null;
  let shape = "";
  let marks = [];
  let view = { from: 0, to: 1 };

  const styles = {
    own: () => ({ stroke: colour(dimension), width: 2 }),
    other: () => ({ stroke: colour("ink"), width: 1.5, dash: [5, 4] }),
    faint: () => ({ stroke: colour("muted"), width: 1 }),
  };

  function dotted(chart) {
    const { ctx, bbox } = chart;
    ctx.save();
    ctx.strokeStyle = colour("muted");
    ctx.lineWidth = uPlot.pxRatio;
    ctx.setLineDash([uPlot.pxRatio, 3 * uPlot.pxRatio]);
    ctx.beginPath();
    for (const mark of marks) {
      if (mark < view.from || mark > view.to) continue;
      const x = chart.valToPos(mark, "x", true);
      ctx.moveTo(x, bbox.top);
      ctx.lineTo(x, bbox.top + bbox.height);
    }
    ctx.stroke();
    ctx.restore();
  }

  function axes() {
    const plain = { stroke: colour("muted"), font: FONT, ticks: { show: false } };
    const grid = { stroke: colour("line"), width: 1 };
    return [
      {
        ...plain,
        grid: { show: false },
        show: withTimes,
        size: 26,
        incrs: SECONDS,
        values: (_, splits) => splits.map(clock),
      },
      {
        ...plain,
        grid,
        size: GUTTER,
        gap: 6,
        splits: [-1, 0, 1],
        values: () => ["−1", "0", "1"],
      },
    ];
  }

  function build(data, lines, band) {
    plot?.destroy();
    const hidden = { stroke: null, points: { show: false } };
    const at = lines.length + 1;
    plot = new uPlot(
      {
        width: place.clientWidth,
        height: place.clientHeight,
        padding: [8, MARGIN, withTimes ? 0 : 8, 0],
        cursor: { show: false },
        legend: { show: false },
        scales: {
          x: { time: false, range: () => [view.from, view.to] },
          y: { range: [-1, 1] },
        },
        axes: axes(),
        series: [
          {},
          ...lines.map(({ style }) => ({ ...styles[style](), points: { show: false } })),
          ...(band ? [hidden, hidden] : []),
        ],
        bands: band ? [{ series: [at + 1, at], fill: colour(`${dimension}-band`) }] : [],
        hooks: { draw: [dotted] },
      },
      data,
      canvas,
    );
  }

  return {
    // lines: [{values, style}] over `times`, the first on top; band: {low, high} or null.
    draw({ times, lines, band, turns }, theme) {
      marks = turns;
      const drawn = [...lines].reverse();
      const data = [times, ...drawn.map((line) => line.values)];
      if (band) data.push(band.low, band.high);
      const wanted = [theme, Boolean(band), ...drawn.map((line) => line.style)].join();
      if (wanted !== shape) build(data, drawn, band);
      else plot.setData(data);
      shape = wanted;
    },
    see(from, to) {
      view = { from, to };
      plot?.setScale("x", { min: from, max: to });
    },
    resize() {
      plot?.setSize({ width: place.clientWidth, height: place.clientHeight });
    },
  };
}
