// The songs on the page: sent, traced, listed. One is sent after the other.

import { clock, DIMENSIONS, readCurve } from "./curve.js";
import { $, complain, element, say } from "./elements.js";
import * as server from "./server.js";

const SVG = "http://www.w3.org/2000/svg";
const breathe = () => new Promise((next) => setTimeout(next)); // so that no task is long
const MINI = 100; // points of the small curve in the list, at most

export function createSongs({ limits, onCurve, onOpen, onForget }) {
  const songs = [];
  let sending = false;
  let open = null;
  let wanted = null; // to be opened as soon as it can be

  const named = (count) => (count === 1 ? "1 song" : `${count} songs`);

  function add(song) {
    songs.push(song);
    song.entry = entry(song);
    $("songs").append(song.entry.item);
    document.body.classList.add("has-songs");
    show(song);
    return song;
  }

  function entry(song) {
    const name = element("span", { className: "song-name" });
    const state = element("span", { className: "song-state" });
    const bar = element("progress", { hidden: true, ariaLabel: `Tracing ${song.name}` });
    const mini = document.createElementNS(SVG, "svg");
    mini.setAttribute("viewBox", "0 -1 100 2");
    mini.setAttribute("preserveAspectRatio", "none");
    mini.setAttribute("aria-hidden", "true");
    const button = element("button", { type: "button", className: "song" }, name, state, mini);
    button.onclick = () => openSong(song);
    const again = element("button", { type: "button", className: "quiet", textContent: "Send again" });
    again.onclick = () => wait(song);
    const away = element("button", {
      type: "button", className: "quiet away", textContent: "×", ariaLabel: `Forget ${song.name}`,
    });
    away.onclick = () => forget(song);
    return { item: element("li", {}, button, bar, again, away), name, state, bar, mini, button, again, away };
  }

  function inWords(song) {
    const limit = song.seconds ? clock(song.seconds) : "";
    return {
      waiting: "waiting to be sent",
      queued: "in the queue",
      tracing: limit ? `tracing, ${limit} heard` : "tracing",
      done: song.curve ? clock(song.curve.duration) : "traced",
      failed: song.error?.replace(`${song.name}: `, ""), // it is named just above
      refused: song.error,
    }[song.state];
  }

  function show(song) {
    const { item, name, state, bar, mini, button, again } = song.entry;
    name.textContent = name.title = song.name;
    item.dataset.state = song.state;
    state.textContent = inWords(song);
    bar.hidden = song.state !== "tracing";
    if (song.length) [bar.max, bar.value] = [song.length, Math.min(song.length, song.seconds ?? 0)];
    else bar.removeAttribute("value");
    button.disabled = !song.curve;
    button.ariaCurrent = String(song === open);
    again.hidden = song.state !== "refused";
    // Each song has one drawn curve: the open one's is the large one.
    if (song.curve && song !== open) mini.dataset.testid = "curve";
    else delete mini.dataset.testid;
  }

  function drawMini(song) {
    const every = Math.ceil(song.curve.times.length / MINI);
    for (const dimension of DIMENSIONS) {
      const line = song.entry.mini.appendChild(document.createElementNS(SVG, "polyline"));
      line.setAttribute("class", dimension);
      const values = [...song.curve[dimension]].filter((_, k) => k % every === 0);
      const across = 100 / Math.max(1, values.length - 1);
      const points = values.map((value, k) => `${(k * across).toFixed(2)},${(-value).toFixed(3)}`);
      line.setAttribute("points", points.join(" "));
    }
  }

  // How long a file is, as far as the browser can say; only for the bar.
  function measure(song) {
    const probe = new Audio();
    probe.preload = "metadata";
    probe.onloadedmetadata = () => {
      if (Number.isFinite(probe.duration)) song.length = probe.duration;
      probe.removeAttribute("src");
    };
    probe.src = song.address;
  }

  function addFiles(files) {
    for (const file of files) {
      const song = add({ name: file.name, file, state: "waiting", address: URL.createObjectURL(file) });
      if (limits.bytes && file.size > limits.bytes) {
        const most = Math.round(limits.bytes / 2 ** 20);
        refuse(song, `larger than this server takes (${most} MB)`);
      } else measure(song);
    }
    if (files.length) say(`${named(files.length)} added`);
    sendWaiting();
  }

  function addKey({ key, name }) {
    add({ name, key, state: "waiting" });
    sendWaiting();
  }

  // A song of the library, which is opened as soon as its curve is here.
  function openOfLibrary(key, name) {
    const song = songs.find(({ library }) => library === key) ?? add({ name, library: key, state: "waiting" });
    if (song.curve) return openSong(song);
    wanted = song;
    sendWaiting();
  }

  function wait(song) {
    song.state = "waiting";
    show(song);
    sendWaiting();
  }

  function refuse(song, line) {
    [song.state, song.error] = ["refused", line];
    show(song);
    say(`${song.name}: ${line}`);
  }

  async function sendWaiting() {
    if (sending) return;
    sending = true;
    for (let song; (song = songs.find(({ state }) => state === "waiting")); ) await send(song);
    sending = false;
  }

  function sent({ file, key, library }) {
    if (file) return server.sendFile(file);
    return key ? server.sendKey(key) : server.sendLibraryKey(library);
  }

  async function send(song) {
    try {
      const { id } = await sent(song);
      adopt(song, id);
      complain("queue", "");
    } catch (error) {
      if (error.status !== 429) return refuse(song, error.message);
      complain("queue", `${error.message} The rest waits here and is sent by itself.`);
      await new Promise((resume) => setTimeout(resume, 1000 * error.retryAfter));
    }
  }

  // The server may have told of the song before it answered with its id.
  function adopt(song, id) {
    const told = songs.find((other) => other.id === id);
    song.id = id;
    if (!songs.includes(song)) return server.forget(id).catch(() => undefined); // forgotten meanwhile
    if (told) remove(told);
    hear({ ...(told ?? { state: "queued" }), id });
  }

  // What the server says of a song.
  function hear({ id, name, state, seconds, error, library, plays }) {
    const song = songs.find((one) => one.id === id) ?? add({ id, name, state });
    if (song.curve) return;
    Object.assign(song, { name, state, seconds, error, library, plays });
    show(song);
    if (state === "failed") say(`${song.name}: ${error}`);
    if (state === "done") fetchCurve(song);
  }

  async function fetchCurve(song) {
    if (song.fetching) return;
    song.fetching = true;
    try {
      song.curve = readCurve(await server.curve(song.id));
    } catch (error) {
      return refuse(song, error.message);
    } finally {
      song.fetching = false;
    }
    // A song of the folder or the library can be heard from there.
    if (!song.file && song.plays) song.address = server.audioAddress(song.id);
    await breathe();
    if (!songs.includes(song)) return; // forgotten meanwhile
    drawMini(song);
    show(song);
    say(`${song.name}: curve ready`);
    onCurve(song);
    await breathe();
    if ((!open || song === wanted) && songs.includes(song)) openSong(song);
  }

  function openSong(song) {
    const before = open;
    [open, wanted] = [song, null];
    if (before) show(before);
    if (song) show(song);
    onOpen(song);
  }

  function remove(song) {
    songs.splice(songs.indexOf(song), 1);
    song.entry.item.remove();
    document.body.classList.toggle("has-songs", songs.length > 0);
  }

  function forget(song) {
    const next = songs[songs.indexOf(song) + 1] ?? songs[songs.indexOf(song) - 1];
    remove(song);
    (next?.entry.away ?? $("files")).focus();
    if (song.id) server.forget(song.id).catch((error) => complain("server", error.message));
    if (song === open) openSong(songs.find(({ curve }) => curve) ?? null);
    if (song.file) URL.revokeObjectURL(song.address);
    onForget(song);
  }

  return {
    addFiles,
    addKey,
    openOfLibrary,
    hear,
    traced: () => songs.filter(({ curve }) => curve),
  };
}
