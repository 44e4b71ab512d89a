// The library beside its map: conditions, lists of songs, journeys; each list is also a playlist.

import { clock, number } from "./curve.js";
import { $, complain, element, save, say } from "./elements.js";
import { createMap, songs as count } from "./map.js";
import * as server from "./server.js";

const KEPT = 500; // descriptions of songs

const named = ({ artist, title }) => (artist ? `${artist} – ${title}` : title);
const values = ({ valence, arousal, mood }) => `${number(valence)}, ${number(arousal)}${mood ? ` · ${mood}` : ""}`;

// onOpen(key, name): a song is to be seen and heard.
export function createLibrary({ name, onOpen }) {
  const known = new Map(); // what is known of songs, by key
  let where = "";
  let wanted = null; // the view to be asked for next
  let asking = false;
  let seen = ""; // what is in view, in words
  let list = null; // {title, keys, again}: what is listed, and how it is asked for anew
  let open = null;
  let chosen = null; // the song that was pressed last

  const map = createMap({
    say,
    onView(box) {
      wanted = box;
      ask();
    },
    onOpen: choose,
    onSelect: (box) => showRegion(() => box, "In the rectangle", box),
    describe: async (key) => {
      try {
        const song = await about(key);
        return `${named(song)} · ${values(song)}`;
      } catch (error) {
        return error.message;
      }
    },
  });

  async function about(key) {
    if (!known.has(key)) remember(await server.librarySong(key));
    return known.get(key);
  }

  function remember(song) {
    known.set(song.key, song);
    if (known.size > KEPT) known.delete(known.keys().next().value);
  }

  async function choose(key) {
    chosen = key;
    await saying("library", async () => onOpen(key, named(await about(key))));
  }

  // What a form or button does, once at a time; what goes wrong is said.
  async function tried(button, act) {
    if (button.ariaBusy === "true") return false;
    button.ariaBusy = "true";
    const right = await saying("library", act);
    button.ariaBusy = "false";
    return right;
  }

  async function saying(subject, act) {
    try {
      await act();
      complain(subject, "");
      return true;
    } catch (error) {
      complain(subject, error.message);
      return false;
    }
  }

  // One view is asked for at a time, and then the newest.
  async function ask() {
    if (asking) return;
    asking = true;
    for (let box; (box = wanted); ) {
      wanted = null;
      await saying("map", async () => showMap(box, await server.libraryMap(where, box)));
    }
    asking = false;
  }

  function showMap(box, answer) {
    map.show({ box, ...answer });
    seen = `${count(answer.within)} in view` +
      (where ? `, of ${answer.held.toLocaleString("en")} where ${where}` : "") +
      (answer.counts ? "; darker: more of them. Zoom in for single songs." : ".");
    $("library-told").textContent = seen;
  }

  // --- lists

  function show(title, { songs, total, ...way }, again = null, line = "") {
    list = { title, keys: songs.map(({ key }) => key), again };
    songs.slice(0, KEPT).forEach(remember);
    map.mark(songs, way.places ? way : null, way.box);
    $("listed").hidden = false;
    $("listed-title").textContent = title;
    const hours = clock(songs.reduce((sum, { seconds }) => sum + seconds, 0));
    const most = songs.length < total ? `the first ${songs.length.toLocaleString("en")} of ` : "";
    $("listed-told").textContent = line || `${most}${count(total)}, ${hours}`;
    $("listed-sort").hidden = !again;
    $("listed-save").disabled = !songs.length;
    $("listed-songs").replaceChildren(...songs.map((song, k) => {
      const button = element("button", { type: "button", className: "quiet" },
        element("span", { textContent: named(song) }),
        element("span", { className: "muted", textContent: `${values(song)} · ${clock(song.seconds)}` }));
      button.onclick = () => choose(song.key);
      button.dataset.key = song.key;
      button.tabIndex = k ? -1 : 0; // one stop of Tab; the arrow keys go on from there
      button.ariaCurrent = String(song.key === open);
      return element("li", {}, button);
    }));
    $("listed-songs").scrollTop = 0;
    say(`${title}: ${$("listed-told").textContent}`);
  }

  // `outlined`: the box, if it is to be seen on the map.
  function showRegion(boxNow, title, outlined = null) {
    const again = () => tried($("list-view"), async () => {
      let [answer, held] = [];
      do answer = await server.librarySongs((held = where), boxNow(), $("sort").value);
      while (held !== where); // another condition was set meanwhile
      show(title, { ...answer, box: outlined }, again);
    });
    return again();
  }

  const mood = ([valence, arousal]) => `${valence.toFixed(2)},${arousal.toFixed(2)}`;
  for (const end of ["from", "to"]) {
    $(`pick-${end}`).onclick = () => {
      const how = "Point at a place of the map, or move the cross there with the arrow keys and press Enter.";
      $("library-told").textContent = how;
      say(how);
      map.pick((point) => {
        $("library-told").textContent = seen;
        if (point) $(`journey-${end}`).value = mood(point);
        $(`journey-${end}`).focus({ preventScroll: true });
      });
    };
  }

  $("journey").onsubmit = (event) => {
    event.preventDefault();
    const [from, to, minutes] = ["from", "to", "minutes"].map((name) => $(`journey-${name}`).value);
    tried($("journey-make"), async () => {
      const way = await server.libraryJourney(where, from, to, minutes);
      show(`From ${from} to ${to}`, way, null, way.line);
    });
  };

  $("conditions").onsubmit = async (event) => {
    event.preventDefault();
    const next = $("where").value.trim();
    const right = await tried($("filter"), async () => {
      const box = map.box();
      const answer = await server.libraryMap(next, box);
      where = next;
      showMap(box, answer);
    });
    $("where").ariaInvalid = String(!right);
    if (right && list?.again) list.again();
  };

  $("listed-songs").onkeydown = (event) => {
    const buttons = [...$("listed-songs").querySelectorAll("button")];
    const at = buttons.indexOf(event.target);
    const to = { ArrowUp: at - 1, ArrowDown: at + 1, Home: 0, End: buttons.length - 1 }[event.key];
    if (at < 0 || !buttons[to]) return; // some browsers let the list itself have the focus
    event.preventDefault();
    [buttons[at].tabIndex, buttons[to].tabIndex] = [-1, 0];
    buttons[to].focus();
  };

  $("sort").onchange = () => list?.again?.();
  $("list-view").onclick = () => showRegion(map.box, "In view");
  $("listed-close").onclick = () => {
    list = null;
    $("listed").hidden = true;
    map.mark([]);
    $("list-view").focus();
  };
  $("listed-save").onclick = () => tried($("listed-save"), async () => {
    const { title, keys } = list;
    save(`${title.replace(/[\\/:*?"<>|]/g, "_")}.m3u8`, await server.playlist(title, keys));
  });
  $("like").onclick = () => tried($("like"), async () => {
    const song = await about(open);
    show(`Like ${named(song)}`, await server.libraryLike(where, song.key));
    $("listed").scrollIntoView({ block: "nearest" });
  });

  async function begin() {
    document.body.classList.add("has-library");
    $("library-name").textContent = name;
    await saying("map", async () => {
      const { songs, notes } = await server.library();
      $("library-notes").textContent = [count(songs), ...notes].join("; ");
      map.begin();
    });
  }
  begin();

  return {
    redraw: map.draw,

    // The song that is seen and heard; without a key it is none of the library.
    open(key = null) {
      open = key;
      $("like").hidden = open === null;
      for (const button of $("listed-songs").querySelectorAll("button")) {
        button.ariaCurrent = String(button.dataset.key === String(open));
      }
      map.open(null);
      if (open === null) return;
      about(open).then((song) => song.key === open && map.open(song), (error) => complain("library", error.message));
      if (open === chosen) $("title").scrollIntoView({ block: "nearest" });
    },
  };
}
