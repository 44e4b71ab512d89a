// The sound and its waveform. What the browser cannot play can still be gone through in silence.

import WaveSurfer from "./vendor/wavesurfer.esm.js";
import { $, colour } from "./elements.js";

export function createPlayer({ onTime, onState, onSilent }) {
  const audio = $("audio");
  let silent = 0; // the time, where there is no sound
  let duration = 0;
  let ready = false;
  let view = null;

  const colours = () => ({ waveColor: colour("wave"), progressColor: colour("wave-played") });
  const wave = WaveSurfer.create({
    container: $("wave"),
    media: audio,
    height: 64, // the server's policy admits the style that goes with this height
    normalize: true,
    barWidth: 2,
    barGap: 1,
    cursorWidth: 0,
    interact: false,
    hideScrollbar: true,
    autoScroll: false,
    fillParent: false, // it has its own length beside a longer song
    ...colours(),
  });
  $("sound").append(audio);

  const sounds = () => audio.hasAttribute("src") && !audio.error;
  const time = () => (sounds() ? audio.currentTime : silent);

  function frame() {
    onTime(time());
    if (!audio.paused) requestAnimationFrame(frame);
  }
  const state = () => onState({ playing: !audio.paused, sounds: sounds() });
  audio.addEventListener("play", () => (state(), frame()));
  audio.addEventListener("pause", state);
  audio.addEventListener("seeked", () => onTime(time()));
  audio.addEventListener("error", () => {
    if (!audio.hasAttribute("src")) return;
    silent = audio.currentTime; // so that the place is not lost
    onSilent(audio.error.code === MediaError.MEDIA_ERR_SRC_NOT_SUPPORTED
      ? "This browser cannot play this kind of file; its curve is none the worse."
      : "The sound broke off: is there a sound device, and is the file whole? Open the song again to go on.");
    audio.pause(); // or it counts as playing
    state();
  });

  const scale = ({ from, to, width }) => width / (to - from);

  function showView() {
    if (!ready || !view) return;
    if (wave.options.minPxPerSec !== scale(view)) wave.zoom(scale(view));
    wave.setScroll(view.from * scale(view));
  }
  wave.on("redraw", () => {
    ready = true;
    showView();
    audio.dispatchEvent(new Event("timeupdate")); // or it stays as far played as the song before
  });

  return {
    time,
    audio,

    open(address, seconds) {
      audio.pause();
      [silent, duration, ready] = [0, seconds, false];
      if (address) audio.src = address;
      else audio.removeAttribute("src");
      audio.load();
      state();
    },

    // The waveform of what is open, if it has one. A superseded load is no failure: another song
    // was opened.
    draw(peaks) {
      $("wave").hidden = !peaks.length;
      if (!peaks.length) return;
      if (view) wave.options.minPxPerSec = scale(view); // or it is drawn again, below what was drawn
      wave.load(audio.getAttribute("src") ?? "", [peaks], duration).catch(() => undefined);
    },

    seek(to) {
      silent = Math.max(0, Math.min(duration, to));
      if (sounds()) audio.currentTime = silent;
      onTime(silent);
    },

    toggle() {
      if (!sounds()) return;
      if (audio.paused) audio.play().catch(() => undefined); // paused again before it began
      else audio.pause();
    },

    see(next, width) {
      view = { ...next, width };
      showView();
    },

    recolour: () => wave.setOptions(colours()),
  };
}
