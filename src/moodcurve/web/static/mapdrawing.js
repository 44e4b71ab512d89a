// What is drawn of a library's map: the plane, its songs, a list of them, a journey, and the hand.

import { colour } from "./elements.js";

const QUADRANTS = [["sad", "calm"], ["tense", "joyful"]]; // [arousal > 0][valence > 0]
const WORDS = [["sad, gloomy", "calm, content"], ["tense, angry", "joyful, excited"]];
const FONT = "12px system-ui, sans-serif";

// scene: {size, box, x, y}: pixels across and up, what of the plane is seen, and where a valence and
// an arousal are in it; {shown}: the songs, {box, dots} or {box, cells, counts}; {listed, journey,
// region}: those of a list, the way that they make, the box that they are from; {current}: the song
// that is open; {hand, cross}: what is being done.
export function drawMap(context, { size, box, x, y, shown, listed, journey, region, current, hand, cross }) {
  function drawPlane() {
    context.fillStyle = colour("raised");
    context.fillRect(0, 0, size, size);
    context.font = FONT;
    for (const [up, row] of QUADRANTS.entries()) {
      for (const [right, name] of row.entries()) {
        const [left, top] = [x(right ? 0 : -1), y(up ? 1 : 0)];
        context.fillStyle = colour(name);
        context.fillRect(left, top, x(right ? 1 : 0) - left, y(up ? 0 : -1) - top);
      }
    }
    context.strokeStyle = colour("edge");
    context.lineWidth = 1;
    line([[-1, 0], [1, 0]]);
    line([[0, -1], [0, 1]]);
  }

  function drawWords() {
    const { left, right, low, high } = box;
    context.fillStyle = colour("ink");
    context.font = FONT;
    for (const [up, row] of WORDS.entries()) {
      for (const [pleasant, words] of row.entries()) {
        if (!(pleasant ? right > 0 : left < 0) || !(up ? high > 0 : low < 0)) continue; // not seen
        context.textAlign = pleasant ? "right" : "left";
        const end = pleasant ? Math.min(size - 6, x(0.97)) : Math.max(22, x(-0.97));
        write(words, end, up ? Math.max(16, y(0.97) + 12) : Math.min(size - 24, y(-0.97) - 6));
      }
    }
    context.textAlign = "center";
    context.fillStyle = colour("muted");
    const digits = right - left < 0.1 ? 3 : 2;
    const reach = (from, to) => (right - left < 2 ? `${from.toFixed(digits)} to ${to.toFixed(digits)} ` : "");
    write(`valence ${reach(left, right)}→`, size / 2, size - 5);
    context.save();
    context.translate(12, size / 2);
    context.rotate(-Math.PI / 2);
    write(`arousal ${reach(low, high)}→`, 0, 0);
    context.restore();
  }

  // Text that is read over dots as well.
  function write(text, left, top) {
    context.strokeStyle = colour("raised");
    context.lineWidth = 4;
    context.lineJoin = "round";
    context.strokeText(text, left, top);
    context.fillText(text, left, top);
  }

  function line(points) {
    context.beginPath();
    for (const [valence, arousal] of points) context.lineTo(x(valence), y(arousal));
    context.stroke();
  }

  function dot(valence, arousal, radius) {
    context.beginPath();
    context.arc(x(valence), y(arousal), radius, 0, 2 * Math.PI);
    context.fill();
  }

  function drawSongs() {
    if (!shown) return;
    const strength = listed.length ? 0.5 : 1; // so that what is listed stands out
    context.fillStyle = colour("ink");
    if (shown.counts) {
      const { cells, counts, box: of } = shown;
      const most = Math.log1p(Math.max(...counts));
      const [across, up] = [(of.right - of.left) / cells, (of.high - of.low) / cells];
      for (let k = 0; k < counts.length; k++) {
        if (!counts[k]) continue;
        const [column, row] = [k % cells, Math.floor(k / cells)];
        const [left, right] = [column, column + 1].map((edge) => Math.round(x(of.left + edge * across)));
        const [bottom, top] = [row, row + 1].map((edge) => Math.round(y(of.low + edge * up)));
        context.globalAlpha = strength * (0.1 + 0.65 * (Math.log1p(counts[k]) / most));
        context.fillRect(left, top, right - left, bottom - top);
      }
    } else {
      context.globalAlpha = 0.5 * strength;
      const { valence, arousal } = shown.dots;
      for (let k = 0; k < valence.length; k++) dot(valence[k], arousal[k], 3);
    }
    context.globalAlpha = 1;
  }

  function drawListed() {
    context.fillStyle = colour("valence");
    if (!journey) for (const { valence, arousal } of listed) dot(valence, arousal, 3.5);
    if (region) {
      context.strokeStyle = colour("valence");
      context.lineWidth = 1.5;
      const { left, right, low, high } = region;
      context.strokeRect(x(left), y(high), x(right) - x(left), y(low) - y(high));
    }
    if (!current) return;
    context.strokeStyle = colour("arousal");
    context.lineWidth = 3;
    context.beginPath();
    context.arc(x(current.valence), y(current.arousal), 8, 0, 2 * Math.PI);
    context.stroke();
  }

  // A journey: the way it was to take, each song from its beginning to its end, the steps between.
  function drawJourney() {
    if (!journey) return;
    context.lineCap = "round";
    context.strokeStyle = colour("valence");
    context.globalAlpha = 0.3;
    context.lineWidth = 8;
    line(journey.places);
    context.globalAlpha = 1;
    context.lineWidth = 1;
    context.strokeStyle = colour("ink");
    context.setLineDash([2, 4]);
    journey.ends.slice(1).forEach(([start], k) => line([journey.ends[k][1], start]));
    context.setLineDash([]);
    context.textAlign = "left";
    context.font = `bold ${FONT}`;
    journey.ends.forEach(([start, end], k) => {
      context.strokeStyle = context.fillStyle = colour("arousal");
      context.lineWidth = 2;
      line([start, end]);
      dot(...start, 4);
      context.fillStyle = colour("ink");
      write(k + 1, x(start[0]) + 6, y(start[1]) - 6);
    });
  }

  function drawHand() {
    context.strokeStyle = colour("ink");
    context.lineWidth = 1.5;
    if (hand?.selects) context.strokeRect(hand.x, hand.y, hand.to.x - hand.x, hand.to.y - hand.y);
    if (!cross) return;
    context.beginPath();
    for (const [dx, dy] of [[-1, 0], [1, 0], [0, -1], [0, 1]]) {
      context.moveTo(size / 2 + 5 * dx, size / 2 + 5 * dy);
      context.lineTo(size / 2 + 14 * dx, size / 2 + 14 * dy);
    }
    context.stroke();
  }

  for (const part of [drawPlane, drawSongs, drawListed, drawJourney, drawWords, drawHand]) part();
}
