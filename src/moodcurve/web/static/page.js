// The page: one song open, seen and heard along one axis of time, or annotated there.

import { createAnnotate } from "./annotate.js";
import { DIMENSIONS, clock, familiarity, feeling, inWords, number, passageAt, rowAt } from "./curve.js";
import { $, complain, element, save } from "./elements.js";
import { createLibrary } from "./library.js";
import { createPlane } from "./plane.js";
import { createPlayer } from "./player.js";
import * as server from "./server.js";
import { createSongs } from "./songs.js";
import { createTimeline } from "./timeline.js";

const NAMES = { parquet: "Parquet", svl: "Sonic Visualiser", labels: "Audacity", srt: "Captions" };

const SILENT = {
  dropped: "No sound here: the page that it was dropped on has it. Drop the file again to hear it.",
  library: "No sound here: its file is not on the machine of the server, or is no longer there.",
};

const dark = matchMedia("(prefers-color-scheme: dark)");
let about = null;
let open = null; // the song that is seen and heard
let other = null; // the one laid over it
let shownRow = null;
let annotating = false;

const player = createPlayer({
  onTime: heard,
  onState({ playing, sounds }) {
    $("play").textContent = playing ? "Pause" : "Play";
    $("play").disabled = !sounds;
    $("silent").hidden = !open || player.audio.hasAttribute("src"); // a failure is said at the top
    annotate?.showTools();
  },
  onSilent: (line) => complain("sound", line),
});
const timeline = createTimeline({ onSeek: (time) => open && player.seek(time), onView: player.see });
const plane = createPlane({ onAim: (next) => annotate.aim(next) });
let annotate = null;
let songs = null;
let library = null;

const shown = () => [open, other].filter(Boolean).map(({ curve }) => curve);

// --- what moves with the music

function heard(time) {
  if (!open) return;
  timeline.move(time);
  if (annotating) annotate.hear(time);
  else plane.move(shown(), time);
  const row = rowAt(open.curve, time);
  $("time").textContent = `${clock(time)} / ${clock(open.curve.duration)}`;
  if (row !== shownRow) showNumbers(row, time);
}

function showNumbers(row, time) {
  shownRow = row;
  const { curve } = open;
  const passage = passageAt(curve, curve.times[row]);
  $("mood").textContent = passage?.mood ?? "";
  $("quadrant").textContent = passage && passage.quadrant !== passage.mood ? passage.quadrant : "";
  const texts = DIMENSIONS.map((dimension) => {
    const value = number(curve[dimension][row]);
    const band = curve.bands[dimension];
    $(`now-${dimension}`).textContent = value;
    $(`band-${dimension}`).textContent = band
      ? `${number(band.low[row])} to ${number(band.high[row])}`
      : "";
    const beside = other?.curve[dimension][row];
    $(`other-${dimension}`).textContent = beside === undefined ? "–" : number(beside);
    return `${dimension} ${value}`;
  });
  timeline.tell(annotating ? "" : [...texts, passage && feeling(passage)].filter(Boolean).join(", "));
}

// --- what is drawn once

function curveDrawings() {
  const [own, beside] = shown();
  const times = beside && beside.times.length > own.times.length ? beside.times : own.times;
  const padded = (values) =>
    values.length === times.length ? values : Array.from(times, (_, k) => values[k] ?? null);
  return Object.fromEntries(DIMENSIONS.map((dimension) => {
    const lines = [{ values: padded(own[dimension]), style: "own" }];
    if (beside) lines.push({ values: padded(beside[dimension]), style: "other" });
    const band = own.bands[dimension];
    return [dimension, {
      times,
      lines,
      band: band && { low: padded(band.low), high: padded(band.high) },
      turns: own.passages.slice(1).map(({ start_s }) => start_s),
    }];
  }));
}

function redraw() {
  if (!open) return;
  timeline.draw(annotating ? annotate.drawings() : curveDrawings(), dark.matches);
}

function showSong(song) {
  complain("sound", "");
  [open, other, shownRow] = [song, null, null];
  document.body.classList.toggle("has-open", Boolean(song));
  library?.open(song?.library ?? undefined);
  if (!song) {
    player.open(null, 1);
    return annotate.open(null);
  }
  const { curve } = song;
  player.open(song.address, curve.duration);
  $("title").textContent = curve.song;
  $("summary").textContent = inWords(curve);
  $("caution").textContent = curve.caution ?? "";
  $("about-model").textContent = curve.model?.name ?? about.model.name;
  $("about-familiarity").textContent = familiarity(curve);
  $("silent").textContent = SILENT[song.library == null ? "dropped" : "library"];
  $("about-band").textContent = curve.band ? `shaded: ${Math.round(100 * curve.band.level)} % band` : "no band";
  showPassages(curve);
  showChoices();
  layOver();
  annotate.open(song);
  showWaveform(song);
}

async function showWaveform(song) {
  try {
    song.peaks ??= (await server.peaks(song.id)).peaks;
    if (song === open) player.draw(song.peaks);
  } catch (error) {
    complain("server", error.message);
  }
}

function showPassages({ passages }) {
  $("passages").replaceChildren(...passages.map((passage) => {
    const button = element("button", { type: "button", className: "quiet" },
      element("span", { className: "when", textContent: clock(passage.start_s) }),
      ` ${feeling(passage)}`);
    button.onclick = () => player.seek(passage.start_s);
    return element("li", {}, button);
  }));
}

function showChoices() {
  const choices = songs.traced().filter((song) => song !== open);
  $("compare").replaceChildren(
    element("option", { value: "", textContent: choices.length ? "nothing" : "add a second song" }),
    ...choices.map(({ id, name }) => element("option", { value: id, textContent: name })),
  );
  $("compare").value = other?.id ?? "";
  $("compare").disabled = !choices.length;
}

function layOver() {
  const id = $("compare").value;
  other = songs.traced().find((song) => song.id === id && song !== open) ?? null;
  document.body.classList.toggle("compares", Boolean(other));
  $("other-name").textContent = other?.curve.song ?? "";
  $("own-name").textContent = open.curve.song;
  $("curve").ariaLabel = `Valence and arousal of ${shown().map(({ song }) => song).join(" and ")} over time`;
  plane.open(shown());
  timeline.open(Math.max(...shown().map(({ duration }) => duration)), open.curve.passages);
  shownRow = null;
  heard(player.time());
  redraw();
}

function setMode(mode) {
  annotating = mode === "annotate";
  document.body.classList.toggle("annotating", annotating);
  if (!annotating) annotate.stop();
  plane.aim(annotating);
  if (!open) return;
  if (!annotating) plane.open(shown());
  shownRow = null;
  heard(player.time());
  redraw();
}

async function download(format) {
  try {
    const { name, blob } = await server.download(open.id, format);
    save(name, blob);
    complain("download", "");
  } catch (error) {
    complain("download", error.message);
  }
}

// --- what it is made of, and how it is used

function showAbout({ model, scale, folder, formats, version }) {
  $("version").textContent = version;
  $("about-model").textContent = model.name;
  $("about-model").title = `trained on ${model.trained_on.join(", ")}`;
  $("about-licence").textContent = model.licence;
  for (const dimension of DIMENSIONS) $(`scale-${dimension}`).textContent = scale[dimension];
  $("downloads").append(...formats.map((format) => {
    const button = element("button", { type: "button", textContent: NAMES[format] ?? format.toUpperCase() });
    button.dataset.testid = `download-${format}`;
    button.onclick = () => download(format);
    return button;
  }));
  if (!folder) return;
  $("folder").hidden = false;
  $("folder-name").textContent = folder.name;
  $("folder-songs").append(...folder.songs.map((song) => {
    const button = element("button", { type: "button", className: "quiet", textContent: song.name });
    button.id = `folder-${song.key}`;
    button.onclick = () => {
      button.disabled = true;
      songs.addKey(song);
    };
    return element("li", {}, button);
  }));
}

function useKeys(event) {
  const { target, key } = event;
  if (event.ctrlKey || event.altKey || event.metaKey) return;
  const free = [document.body, $("playhead"), $("plane"), $("map")].includes(target);
  if (key === " " && free && open) {
    event.preventDefault();
    player.toggle();
  }
  // Letters and signs only where the focus is on the music, so that they are in nobody's way.
  if (target !== $("playhead") && target !== $("plane")) return;
  const act = {
    "+": () => timeline.zoom(2),
    "-": () => timeline.zoom(0.5),
    0: timeline.all,
    r: () => annotating && $("record").click(),
    Escape: annotate.stop,
  }[key];
  act?.();
}

function takeDrops() {
  const carries = (event) => [...event.dataTransfer.types].includes("Files");
  for (const kind of ["dragenter", "dragover"]) {
    addEventListener(kind, (event) => {
      if (!carries(event)) return;
      event.preventDefault();
      document.body.classList.add("dropping");
    });
  }
  addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) document.body.classList.remove("dropping");
  });
  addEventListener("drop", (event) => {
    event.preventDefault();
    document.body.classList.remove("dropping");
    songs.addFiles([...event.dataTransfer.files]);
  });
}

async function begin() {
  try {
    about = await server.about();
  } catch (error) {
    return complain("server", error.message);
  }
  annotate = createAnnotate({ corpus: about.corpus, player, redraw: { point: plane.point, lanes: redraw } });
  songs = createSongs({
    limits: about.limits,
    onCurve: () => open && showChoices(),
    onOpen: showSong,
    onForget: (song) => {
      if (song.key) $(`folder-${song.key}`).disabled = false;
      if (!open) return;
      showChoices();
      if (song === other) layOver();
    },
  });
  showAbout(about);
  if (about.library) library = createLibrary({ name: about.library, onOpen: songs.openOfLibrary });
  $("files").onchange = ({ target }) => {
    songs.addFiles([...target.files]);
    target.value = "";
  };
  $("play").onclick = player.toggle;
  $("compare").onchange = layOver;
  for (const choice of document.querySelectorAll("[name=mode]")) {
    choice.onchange = () => setMode(choice.value);
  }
  dark.onchange = () => {
    player.recolour();
    library?.redraw();
    redraw();
  };
  addEventListener("keydown", useKeys);
  takeDrops();
  setMode("listen");
  server.listen(songs.hear, (line) => complain("server", line));
  document.body.dataset.ready = "";
}

begin();
