// The column that shares one axis of time: waveform, passages, two lanes, and the playhead over all.

import { DIMENSIONS, clock } from "./curve.js";
import { $, element, turned } from "./elements.js";
import { createLane, GUTTER, MARGIN } from "./lane.js";

const CLOSEST = 5; // seconds: no closer than this
const QUADRANTS = {
  "excited and pleasant": "joyful",
  "excited and unpleasant": "tense",
  "calm and unpleasant": "sad",
  "calm and pleasant": "calm",
};

export function createTimeline({ onSeek, onView }) {
  const column = $("column");
  const playhead = $("playhead");
  const lanes = {};
  for (const dimension of DIMENSIONS) {
    lanes[dimension] = createLane($(`lane-${dimension}`), dimension, dimension === "arousal");
  }
  let duration = 1;
  let view = { from: 0, to: 1 };
  let time = 0;

  const width = () => column.clientWidth - GUTTER - MARGIN;
  const shareOf = (at) => (at - view.from) / (view.to - view.from);
  const seen = (share) => share > -1e-4 && share < 1 + 1e-4; // players round the time

  function placePlayhead() {
    const share = shareOf(time);
    playhead.hidden = !seen(share);
    playhead.style.transform = `translateX(${GUTTER + share * width()}px)`;
  }

  function see(from, to) {
    const span = Math.min(duration, Math.max(Math.min(CLOSEST, duration), to - from));
    const start = Math.max(0, Math.min(duration - span, from));
    view = { from: start, to: start + span };
    for (const lane of Object.values(lanes)) lane.see(view.from, view.to);
    $("passages-drawn").style.width = `${(100 * duration) / span}%`;
    $("passages-drawn").style.transform = `translateX(${(-100 * start) / duration}%)`;
    $("zoom-out").disabled = $("zoom-all").disabled = span >= duration;
    onView(view, width());
    placePlayhead();
  }

  function zoom(factor, around = time) {
    const span = (view.to - view.from) / factor;
    const share = Math.max(0, Math.min(1, shareOf(around)));
    see(around - share * span, around + (1 - share) * span);
  }

  const timeAt = (x) => {
    const share = (x - column.getBoundingClientRect().left - GUTTER) / width();
    return view.from + Math.max(0, Math.min(1, share)) * (view.to - view.from);
  };

  column.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    column.setPointerCapture(event.pointerId);
    playhead.focus({ preventScroll: true });
    event.preventDefault();
    onSeek(timeAt(event.clientX));
  });
  column.addEventListener("pointermove", (event) => {
    if (column.hasPointerCapture(event.pointerId)) onSeek(timeAt(event.clientX));
  });
  column.addEventListener("wheel", (event) => {
    if (!event.ctrlKey) return; // a plain wheel scrolls the page
    event.preventDefault();
    zoom(turned(event), timeAt(event.clientX));
  }, { passive: false });

  const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowDown: -1, ArrowUp: 1, PageDown: -10, PageUp: 10 };
  playhead.addEventListener("keydown", (event) => {
    const ends = { Home: 0, End: duration };
    const to = steps[event.key] ? time + steps[event.key] : ends[event.key];
    if (to === undefined || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    onSeek(Math.max(0, Math.min(duration, to)));
  });

  $("zoom-in").onclick = () => zoom(2);
  $("zoom-out").onclick = () => zoom(0.5);
  $("zoom-all").onclick = () => see(0, duration);
  new ResizeObserver(() => {
    for (const lane of Object.values(lanes)) lane.resize();
    see(view.from, view.to);
  }).observe(column);

  return {
    zoom,
    all: () => see(0, duration),

    open(seconds, passages) {
      duration = Math.max(seconds, 0.5);
      const pieces = passages.map(({ start_s, end_s, quadrant, mood }) => {
        const piece = element("span", { className: QUADRANTS[quadrant] ?? "neutral", textContent: mood });
        piece.style.left = `${(100 * start_s) / duration}%`;
        piece.style.width = `${(100 * (end_s - start_s)) / duration}%`;
        return piece;
      });
      $("passages-drawn").replaceChildren(...pieces);
      playhead.ariaValueMax = duration.toFixed(1);
      see(0, duration);
    },

    // drawings: for each dimension what a lane draws. One a frame, so that no task is long.
    async draw(drawings, theme) {
      for (const dimension of DIMENSIONS) {
        await new Promise(requestAnimationFrame);
        lanes[dimension].draw(drawings[dimension], theme);
        lanes[dimension].see(view.from, view.to);
      }
    },

    // Where the music is; turns the page when it leaves what is seen: a playhead that is hidden
    // loses the focus.
    move(now) {
      const moved = now !== time;
      time = now;
      if (moved && !seen(shareOf(time))) see(time, time + view.to - view.from);
      placePlayhead();
    },

    tell(text) {
      playhead.ariaValueNow = time.toFixed(1);
      playhead.ariaValueText = `${clock(time)}${text && `, ${text}`}`;
    },
  };
}
