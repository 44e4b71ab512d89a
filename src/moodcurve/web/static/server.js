// Every request that the page makes. A refusal carries the server's own line.

const GONE = "The server does not answer. Start `moodcurve serve` again; what you see stays.";

export class Refusal extends Error {
  constructor(line, status = 0, retryAfter = 0) {
    super(line);
    this.status = status;
    this.retryAfter = retryAfter;
  }
}

async function ask(path, options) {
  let reply;
  try {
    reply = await fetch(path, options);
  } catch {
    throw new Refusal(GONE);
  }
  if (reply.ok) return reply;
  const line = await reply.json().then((body) => body.error, () => `The server said ${reply.status}.`);
  throw new Refusal(line, reply.status, Number(reply.headers.get("Retry-After")) || 1);
}

const json = async (path, options) => (await ask(path, options)).json();
const part = encodeURIComponent;

export const about = () => json("/api/about");
export async function sendFile(file) {
  try {
    await file.slice(0, 1).arrayBuffer(); // a fetch would not say which of the two failed
  } catch {
    throw new Refusal("cannot be read; it is a folder, or no longer there");
  }
  return json(`/api/songs?name=${part(file.name)}`, { method: "POST", body: file });
}
export const sendKey = (key) => json(`/api/songs?folder=${part(key)}`, { method: "POST" });
export const sendLibraryKey = (key) => json(`/api/songs?library=${key}`, { method: "POST" });
export const curve = (id) => json(`/api/songs/${part(id)}/curve`);
export const peaks = (id) => json(`/api/songs/${part(id)}/peaks`);
export const audioAddress = (id) => `/api/songs/${part(id)}/audio`;
export const audio = async (id) => (await ask(audioAddress(id))).blob();
export const forget = (id) => ask(`/api/songs/${part(id)}`, { method: "DELETE" });

export async function download(id, format) {
  const reply = await ask(`/api/songs/${part(id)}/export?format=${part(format)}`);
  const header = reply.headers.get("Content-Disposition") ?? "";
  const coded = /filename\*=utf-8''([^;]+)/i.exec(header)?.[1];
  const name = coded ? decodeURIComponent(coded) : /filename="?([^";]+)/i.exec(header)?.[1];
  return { name: name ?? `curve.${format}`, blob: await reply.blob() };
}

const rating = (song, rater) => `/api/annotations/${part(song)}/${part(rater)}`;
export const annotations = (song) => json(`/api/annotations/${part(song)}`);
export const removeRater = (song, rater) => ask(rating(song, rater), { method: "DELETE" });
export const putAudio = (name, blob) =>
  ask(`/api/corpus/audio/${part(name)}`, { method: "PUT", body: blob });
export const annotate = (song, rater, lag, samples) =>
  json(rating(song, rater), {
    method: "PUT",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ lag_s: lag, samples }),
  });

const asked = (values) => new URLSearchParams(values).toString();
export const library = () => json("/api/library");
export const librarySong = (key) => json(`/api/library/songs/${key}`);
export const libraryMap = (where, box) => json(`/api/library/map?${asked({ where, ...box })}`);
export const librarySongs = (where, box, sort) => json(`/api/library/songs?${asked({ where, ...box, sort })}`);
export const libraryLike = (where, key) => json(`/api/library/like/${key}?${asked({ where })}`);
export const libraryJourney = (where, from, to, minutes) =>
  json(`/api/library/journey?${asked({ where, from, to, minutes })}`);
export const playlist = async (title, keys) =>
  (await ask("/api/library/playlist", { method: "POST", body: JSON.stringify({ title, keys }) })).blob();

// The state of every song as it changes; the browser connects again by itself.
export function listen(onSong, onConnection) {
  const events = new EventSource("/api/events");
  events.onmessage = (event) => onSong(JSON.parse(event.data));
  events.onopen = () => onConnection("");
  events.onerror = () => onConnection(GONE);
}
