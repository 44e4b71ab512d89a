// The plane of valence (across) and arousal (up): where the music is now, and where it came from.

import { pointAt } from "./curve.js";
import { $ } from "./elements.js";

const TRAIL = 12; // seconds
const PIECES = 24;
const POINTS = 2000; // of a path, at most: more cannot be seen
const KEYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };

export function createPlane({ onAim }) {
  const plane = $("plane");
  const svg = plane.querySelector("svg");
  const made = (name, parent) => parent.appendChild(document.createElementNS(svg.namespaceURI, name));
  const still = matchMedia("(prefers-reduced-motion: reduce)");

  const parts = ["own", "other"].map((name) => {
    const group = svg.querySelector(`.${name}`);
    const trail = Array.from({ length: PIECES }, () => made("line", group.querySelector(".trail")));
    trail.forEach((line, k) => line.setAttribute("opacity", ((PIECES - k) / PIECES) ** 1.5));
    return { group, trail, path: group.querySelector(".path"), dot: group.querySelector(".dot") };
  });

  const place = ([valence, arousal]) => [valence.toFixed(4), (-arousal).toFixed(4)];

  function drawPath({ path }, curve) {
    const every = Math.ceil(curve.times.length / POINTS);
    const points = [];
    for (let k = 0; k < curve.times.length; k += every) {
      points.push(place([curve.valence[k], curve.arousal[k]]).join());
    }
    path.setAttribute("points", points.join(" "));
  }

  function drawTrail({ trail }, curve, time) {
    let [x, y] = place(pointAt(curve, time));
    trail.forEach((line, k) => {
      const before = Math.max(0, time - ((k + 1) * TRAIL) / PIECES);
      const [x1, y1] = place(pointAt(curve, before));
      Object.entries({ x1, y1, x2: x, y2: y }).forEach(([key, at]) => line.setAttribute(key, at));
      [x, y] = [x1, y1];
    });
  }

  function put({ dot }, point) {
    const [x, y] = place(point);
    dot.setAttribute("transform", `translate(${x} ${y})`);
  }

  function aimed(event) {
    const box = svg.getBoundingClientRect();
    const { x, y, width, height } = svg.viewBox.baseVal;
    const clip = (value) => Math.max(-1, Math.min(1, value));
    return [
      clip(x + ((event.clientX - box.left) / box.width) * width),
      -clip(y + ((event.clientY - box.top) / box.height) * height),
    ];
  }

  const aiming = () => plane.classList.contains("aims");
  plane.addEventListener("pointerdown", (event) => {
    if (!aiming()) return;
    plane.setPointerCapture(event.pointerId);
    onAim(() => aimed(event));
  });
  plane.addEventListener("pointermove", (event) => {
    if (aiming()) onAim(() => aimed(event));
  });
  plane.addEventListener("keydown", (event) => {
    const step = KEYS[event.key];
    if (!aiming() || !step) return;
    event.preventDefault();
    const far = event.shiftKey ? 0.2 : 0.05;
    onAim((from) => from.map((value, k) => Math.max(-1, Math.min(1, value + far * step[k]))));
  });

  return {
    // The whole way of one song, or of two laid over each other.
    open(curves) {
      parts.forEach((part, k) => {
        part.group.toggleAttribute("hidden", !curves[k]);
        if (curves[k]) drawPath(part, curves[k]);
      });
    },

    move(curves, time) {
      // Who asked for no motion gets a dot that steps from row to row, without a trail.
      const at = still.matches ? Math.floor(time / 0.5) * 0.5 + 0.25 : time;
      curves.forEach((curve, k) => {
        put(parts[k], pointAt(curve, at));
        if (!still.matches) drawTrail(parts[k], curve, at);
      });
    },

    // To give labels instead of showing a curve: the plane is pointed at.
    aim(on) {
      plane.classList.toggle("aims", on);
      plane.setAttribute("role", on ? "application" : "img");
      plane.tabIndex = on ? 0 : -1;
      plane.ariaLabel = on
        ? "Plane of valence and arousal; arrow keys move the point, with Shift further"
        : "Plane of valence and arousal, with a dot where the music is now";
      if (on) parts[1].group.toggleAttribute("hidden", true);
      parts[0].group.toggleAttribute("hidden", false);
    },

    point: (point) => put(parts[0], point),
  };
}
