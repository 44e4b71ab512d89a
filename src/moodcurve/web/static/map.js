// The map of a library, moved, zoomed and pointed at; `mapdrawing.js` draws it.

import { number } from "./curve.js";
import { $, turned } from "./elements.js";
import { drawMap } from "./mapdrawing.js";

const WHOLE = 2.16; // across and up, of the plane and a margin
const CLOSEST = 0.005;
const NEAR = 14; // pixels within which a dot is meant
const STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };

export const songs = (count) => (count === 1 ? "1 song" : `${count.toLocaleString("en")} songs`);

// onView(box): what is seen has changed. onOpen(key): a song was chosen. onSelect(box): a rectangle
// was. describe(key): a promise of what to say of a song.
export function createMap({ onView, onOpen, onSelect, describe, say }) {
  const canvas = $("map");
  const tip = $("map-tip");
  const context = canvas.getContext("2d");
  let size = 0; // pixels, across and up
  let view = { v: 0, a: 0, span: WHOLE };
  let shown = null; // the answer that is drawn: {box, dots} or {box, cells, counts}
  let marked = { listed: [] }; // songs of a list, the journey that they make, the region they are from
  let current = null; // the song that is open
  let drag = null; // {x, y, to: {x, y}, from: view, selects}
  let picking = null; // whom the next place is for
  let keyed = false; // whether keys were used last: a cross says where
  let told = null; // what is told, so that an answer that comes late is not

  const box = () => {
    const { v, a, span } = view;
    return { left: v - span / 2, right: v + span / 2, low: a - span / 2, high: a + span / 2 };
  };
  const x = (valence) => ((valence - view.v) / view.span + 0.5) * size;
  const y = (arousal) => (0.5 - (arousal - view.a) / view.span) * size;
  const pointAt = (place) => ({
    v: view.v + (place.x / size - 0.5) * view.span,
    a: view.a + (0.5 - place.y / size) * view.span,
  });
  const middle = () => ({ x: size / 2, y: size / 2 });

  let asked = false;
  function draw() {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => {
      asked = false;
      const cross = keyed && document.activeElement === canvas;
      drawMap(context, { size, box: box(), x, y, shown, ...marked, current, hand: drag, cross });
    });
  }

  // --- looked up

  // The key of the dot nearest to a place; null where none is near.
  function nearest(place, within = NEAR) {
    let [found, least] = [null, within];
    const look = (key, valence, arousal) => {
      const far = Math.hypot(x(valence) - place.x, y(arousal) - place.y);
      if (far <= least) [found, least] = [key, far];
    };
    for (const { key, valence, arousal } of marked.listed) look(key, valence, arousal);
    const { keys = [], valence, arousal } = shown?.dots ?? {};
    for (let k = 0; k < keys.length; k++) look(keys[k], valence[k], arousal[k]);
    return found;
  }

  function countAt(place) {
    if (!shown?.counts) return 0;
    const { cells, counts, box: of } = shown;
    const { v, a } = pointAt(place);
    const across = Math.floor(((v - of.left) / (of.right - of.left)) * cells);
    const up = Math.floor(((a - of.low) / (of.high - of.low)) * cells);
    return (across >= 0 && across < cells && counts[up * cells + across]) || 0;
  }

  // Says what is at a place: beside it, and aloud if asked for. What comes late is not said.
  async function tell(place, within, aloud) {
    const key = nearest(place, within);
    const what = key ?? inCell(place);
    if (what === told && !aloud) return putTip(place);
    told = what;
    const text = key === null ? what : await describe(key);
    if (told !== what) return;
    tip.textContent = text;
    putTip(place);
    if (aloud) say(text || "No song here");
  }

  function inCell(place) {
    const count = countAt(place);
    const { v, a } = pointAt(place);
    return count ? `${songs(count)} around ${number(v)}, ${number(a)}` : "";
  }

  function putTip(place) {
    tip.hidden = !tip.textContent;
    const left = Math.min(place.x + 12, size - tip.offsetWidth - 4);
    const above = place.y + 20 + tip.offsetHeight > size;
    const top = above ? place.y - tip.offsetHeight - 8 : place.y + 16;
    tip.style.transform = `translate(${Math.max(4, left)}px, ${top}px)`;
  }

  function untell() {
    told = null;
    tip.textContent = "";
    tip.hidden = true;
  }

  // --- moved

  function see(next) {
    const span = Math.min(WHOLE, Math.max(CLOSEST, next.span));
    const most = keyed ? 1 : (WHOLE - span) / 2; // the cross of the keys, in the middle, reaches all
    const held = (value) => Math.max(-most, Math.min(most, value));
    view = { v: held(next.v), a: held(next.a), span };
    $("map-out").disabled = span >= WHOLE;
    $("map-whole").disabled = span >= WHOLE && !view.v && !view.a;
    untell();
    draw();
    onView(box());
  }

  // The point under `place` stays where it is.
  function zoom(factor, place = middle()) {
    const { v, a } = pointAt(place);
    const span = Math.min(WHOLE, Math.max(CLOSEST, view.span / factor));
    const share = span / view.span;
    see({ v: v + (view.v - v) * share, a: a + (view.a - a) * share, span });
  }

  function choose(place, within) {
    if (picking) {
      const { v, a } = pointAt(place);
      const clip = (value) => Math.max(-1, Math.min(1, value));
      return picked([clip(v), clip(a)]);
    }
    const key = nearest(place, within);
    if (key !== null) onOpen(key);
    else if (countAt(place)) zoom(2, place);
  }

  function picked(point) {
    const take = picking;
    picking = null;
    canvas.classList.remove("picks");
    take?.(point);
  }

  const placeOf = (event) => {
    const { left, top } = canvas.getBoundingClientRect();
    return { x: event.clientX - left, y: event.clientY - top };
  };

  canvas.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    canvas.setPointerCapture(event.pointerId);
    keyed = false;
    untell();
    const selects = !picking && ($("map-selects").checked || event.shiftKey);
    drag = { ...placeOf(event), to: placeOf(event), from: view, selects, moved: false };
  });
  canvas.addEventListener("pointermove", (event) => {
    const place = placeOf(event);
    if (!drag) return tell(place);
    drag.to = place;
    drag.moved ||= Math.hypot(place.x - drag.x, place.y - drag.y) > 4;
    if (drag.selects) draw();
    else if (drag.moved) {
      const { v, a, span } = drag.from;
      see({ v: v - ((place.x - drag.x) / size) * span, a: a + ((place.y - drag.y) / size) * span, span });
    }
  });
  canvas.addEventListener("pointerup", () => {
    const done = drag;
    drag = null;
    draw();
    if (!done) return;
    if (!done.moved) return choose(done);
    if (!done.selects) return;
    const [one, other] = [pointAt(done), pointAt(done.to)];
    onSelect({
      left: Math.min(one.v, other.v), right: Math.max(one.v, other.v),
      low: Math.min(one.a, other.a), high: Math.max(one.a, other.a),
    });
  });
  canvas.addEventListener("pointercancel", () => ((drag = null), draw()));
  canvas.addEventListener("pointerleave", untell);
  canvas.addEventListener("wheel", (event) => {
    if (!event.ctrlKey) return; // a plain wheel scrolls the page
    event.preventDefault();
    zoom(turned(event), placeOf(event));
  }, { passive: false });

  canvas.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const step = STEPS[event.key];
    const { v, a, span } = view;
    const far = span * (event.shiftKey ? 0.02 : 0.1);
    const act = step ? () => see({ v: v + far * step[0], a: a + far * step[1], span }) : {
      "+": () => zoom(2),
      "-": () => zoom(0.5),
      0: () => see({ v: 0, a: 0, span: WHOLE }),
      Enter: () => choose(middle(), 3 * NEAR),
      Escape: () => picked(null),
    }[event.key];
    if (!act) return;
    event.preventDefault();
    keyed = true;
    act();
  });
  for (const kind of ["focus", "blur"]) canvas.addEventListener(kind, draw);

  $("map-in").onclick = () => zoom(2);
  $("map-out").onclick = () => zoom(0.5);
  $("map-whole").onclick = () => see({ v: 0, a: 0, span: WHOLE });
  new ResizeObserver(() => {
    size = canvas.clientWidth;
    canvas.width = canvas.height = Math.round(size * devicePixelRatio);
    context.setTransform(devicePixelRatio, 0, 0, devicePixelRatio, 0, 0);
    draw();
  }).observe(canvas);

  return {
    draw,
    box,
    begin: () => see(view),

    show(answer) {
      shown = answer;
      draw();
      if (keyed && document.activeElement === canvas) tell(middle(), 3 * NEAR, true);
    },

    // The songs of a list; the journey that they make or the box that they are from, if any.
    mark(listed, journey, region) {
      marked = { listed, journey, region };
      draw();
    },

    // The song that is open, or null.
    open(song) {
      current = song;
      draw();
    },

    // The next place that is pointed at is `take`'s; it gets null if that is given up.
    pick(take) {
      picked(null); // what was to be picked before
      [picking, keyed] = [take, true];
      canvas.classList.add("picks");
      canvas.focus({ preventScroll: true });
    },
  };
}
