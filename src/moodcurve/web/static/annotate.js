// The annotate mode: labels given while listening, kept in the corpus folder of the server.

import { DIMENSIONS, clock, number } from "./curve.js";
import { $, complain, element, say } from "./elements.js";
import * as server from "./server.js";
import { createTrack, STEP } from "./track.js";

// `player`: the sound; `redraw`: called when what is to be drawn has changed.
export function createAnnotate({ corpus, player, redraw }) {
  let song = null;
  let track = createTrack(1);
  let others = []; // of {name, lag_s, samples}
  let point = [0, 0];
  let recording = false;
  let pointed = false; // since recording began
  let saving = Promise.resolve();
  let drawnAt = 0;

  const labelled = new Set(corpus?.songs.filter(({ raters }) => raters.length).map(({ name }) => name));
  const known = new Set(corpus?.songs.map(({ name }) => name));
  const songName = () => song.name.replace(/\.[^.]*$/, "").normalize("NFC");
  const rater = () => $("rater").value.trim();
  const wanted = () => $("aim").elements.dimension.value;
  const recorded = () => (wanted() === "both" ? DIMENSIONS : [wanted()]);

  function showPoint() {
    DIMENSIONS.forEach((dimension, d) => {
      $(`slide-${dimension}`).value = point[d];
      $(`slid-${dimension}`).textContent = number(point[d]);
    });
  }

  function aim(next) {
    point = next(point);
    showPoint();
    redraw.point(point);
  }

  function showTools() {
    const able = corpus && song && player.audio.hasAttribute("src");
    $("record").disabled = !able || !rater();
    $("record").textContent = recording ? "Stop recording" : "Record";
    $("record").ariaPressed = String(recording);
    $("undo").disabled = recording || !track.canUndo();
    $("redo").disabled = recording || !track.canRedo();
    $("rater").disabled = $("lag").disabled = recording;
    $("save").hidden = !song?.unsaved;
    document.body.classList.toggle("recording", recording);
    $("record-hint").textContent = able ? "" : "Open a song that has sound.";
  }

  function start() {
    complain("annotate", "");
    track.begin(recorded());
    recording = true;
    if (player.audio.paused) player.toggle();
    $(wanted() === "both" ? "plane" : `slide-${wanted()}`).focus({ preventScroll: true });
    showTools();
  }

  function stop() {
    if (!recording) return;
    recording = false;
    if (!player.audio.paused) player.audio.pause();
    track.end();
    if (pointed) save();
    pointed = false;
    redraw.lanes();
    showTools();
  }

  // Called with the time of the music, often.
  function hear(time) {
    if (!recording) {
      const here = track.at(time);
      redraw.point(here.every((value) => value === null) ? point : here.map((value) => value ?? 0));
      return;
    }
    track.put(time, point);
    pointed = true;
    if (Math.abs(time - drawnAt) < 2 * STEP) return;
    drawnAt = time;
    redraw.lanes();
  }

  // One after the other, so that the last state is the one that stays.
  function save() {
    const [of, by, lag, samples] = [song, rater(), Number($("lag").value), track.samples()];
    const name = songName();
    saving = saving.then(async () => {
      try {
        if (!of.stored) { // and where another song has its name there, this is refused
          await server.putAudio(of.name, of.file ?? (await server.audio(of.id)));
          of.stored = true;
          known.add(name);
        }
        if (!samples.length) await server.removeRater(name, by);
        const now = samples.length
          ? await server.annotate(name, by, lag, samples)
          : await server.annotations(name);
        complain("annotate", "");
        delete of.unsaved;
        showTools();
        $("saved").textContent = samples.length
          ? `Saved: ${clock(samples.length * STEP)} by ${by}.`
          : `Nothing by ${by} is left.`;
        if (of === song) showRaters(now);
      } catch (error) {
        of.unsaved = { name: by, lag_s: lag, samples }; // kept here until it is
        showTools();
        complain("annotate", `Not saved: ${error.message}`);
      }
    });
  }

  const seconds = ({ samples }) =>
    samples.length < 2 ? 0 : samples.length * (samples[1][0] - samples[0][0]);

  function showRaters({ raters, agreement }) {
    others = raters;
    if (raters.length) labelled.add(songName());
    else labelled.delete(songName());
    $("raters").replaceChildren(...raters.map((one) => {
      const remove = element("button", {
        type: "button", className: "quiet", textContent: "Remove", ariaLabel: `Remove the labels of ${one.name}`,
      });
      remove.onclick = () => removeRater(one.name);
      return element("tr", {},
        element("th", { scope: "row", textContent: one.name }),
        element("td", { textContent: clock(seconds(one)) }),
        element("td", { textContent: `${one.lag_s} s` }),
        element("td", {}, remove));
    }));
    $("rater-table").hidden = !raters.length;
    showAgreement(raters.map(({ name }) => name), agreement);
    showTraining();
  }

  function showAgreement(names, agreement) {
    const enough = names.length > 1 && agreement;
    $("agreement").hidden = !enough;
    $("agreement-hint").hidden = Boolean(enough);
    if (!enough) return;
    const value = (x) => (x === null || x === undefined ? "–" : number(x));
    $("agreement").replaceChildren(...DIMENSIONS.map((dimension) => {
      const { alpha, r } = agreement[dimension];
      const head = element("tr", {}, element("td", { textContent: "r" }), ...names.map((name) =>
        element("th", { scope: "col", textContent: name })));
      const rows = r.map((row, k) => element("tr", {},
        element("th", { scope: "row", textContent: names[k] }),
        ...row.map((x, other) => element("td", { textContent: k === other ? "" : value(x) }))));
      const caption = element("caption", {},
        element("span", { className: dimension, textContent: dimension }),
        `: Cronbach’s alpha ${value(alpha)}`);
      return element("table", {}, caption, element("thead", {}, head), element("tbody", {}, ...rows));
    }));
  }

  function showTraining() {
    const count = labelled.size;
    $("labelled").textContent = count === 1 ? "1 song is labelled" : `${count} songs are labelled`;
    $("train").textContent = `moodcurve train ${corpus.name} -o my_model`;
  }

  async function removeRater(name) {
    try {
      await server.removeRater(songName(), name);
      showRaters(await server.annotations(songName()));
      if (name === rater()) loadRater();
      say(`Labels of ${name} removed`);
    } catch (error) {
      complain("annotate", error.message);
    }
  }

  // The labels that this rater gave before, to go on with.
  function loadRater() {
    track = createTrack(song.curve.duration);
    const before = [song.unsaved, ...others].find((one) => one?.name === rater());
    if (before) {
      track.load(before.samples);
      $("lag").value = before.lag_s;
    }
    showTools();
    redraw.lanes();
  }

  async function open(next) {
    stop();
    song = next;
    others = [];
    $("saved").textContent = "";
    if (!song) return;
    loadRater();
    if (!corpus) return;
    showRaters({ raters: [] });
    if (!known.has(songName())) return;
    try {
      const kept = await server.annotations(songName());
      if (song !== next) return;
      showRaters(kept);
      loadRater();
    } catch (error) {
      complain("annotate", error.message);
    }
  }

  $("record").onclick = () => (recording ? stop() : start());
  player.audio.addEventListener("pause", stop);
  for (const [id, change] of [["undo", () => track.undo()], ["redo", () => track.redo()]]) {
    $(id).onclick = () => {
      change();
      save();
      redraw.lanes();
      showTools();
    };
  }
  $("save").onclick = save;
  addEventListener("beforeunload", (event) => song?.unsaved && event.preventDefault());
  $("rater").onchange = () => song && loadRater();
  $("rater").oninput = showTools;
  $("lag").onchange = () => song && rater() && track.samples().length && save();
  $("show-others").onchange = () => redraw.lanes();
  const nextPassage = () => recording && track.begin(recorded());
  $("aim").elements.dimension.forEach((choice) => (choice.onchange = nextPassage));
  player.audio.addEventListener("seeking", nextPassage);
  document.addEventListener("visibilitychange", () => document.hidden && stop()); // nobody points
  DIMENSIONS.forEach((dimension, d) => {
    $(`slide-${dimension}`).oninput = ({ target }) =>
      aim((from) => from.map((value, k) => (k === d ? Number(target.value) : value)));
  });
  $("no-corpus").hidden = Boolean(corpus);
  $("tools").hidden = $("rating").hidden = !corpus;
  if (corpus) showTraining();
  showPoint();
  showTools();

  return {
    open,
    hear,
    aim,
    stop,
    showTools,

    // What the lanes draw in this mode: only labels, so that the model does not lead the listener.
    drawings() {
      const shown = $("show-others").checked ? others.filter(({ name }) => name !== rater()) : [];
      const tracks = shown.map(({ samples }) => {
        const other = createTrack(song.curve.duration);
        other.load(samples);
        return other;
      });
      return Object.fromEntries(DIMENSIONS.map((dimension) => [dimension, {
        times: track.times,
        lines: [
          { values: [...track.values[dimension]], style: "own" },
          ...tracks.map(({ values }) => ({ values: values[dimension], style: "faint" })),
        ],
        band: null,
        turns: [],
      }]));
    },
  };
}
